package usage

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

const rdsSource = "rds-custom"

// customEngines are the engines of RDS Custom (RDS API Reference, CreateCustomDBEngineVersion).
// Without this filter, RDS lists all versions of all engines.
var customEngines = []string{
	"custom-oracle-ee", "custom-oracle-ee-cdb", "custom-oracle-se2", "custom-oracle-se2-cdb",
	"custom-sqlserver-ee", "custom-sqlserver-se", "custom-sqlserver-web", "custom-sqlserver-dev",
}

// engineVersions looks at the images of the custom engine versions of RDS Custom, inactive ones,
// too: databases are restored with them.
func engineVersions(ctx context.Context, s *search) error {
	client := rds.NewFromConfig(wire.In(s.AWS, s.Region))
	pages := rds.NewDescribeDBEngineVersionsPaginator(client, &rds.DescribeDBEngineVersionsInput{
		Filters: []types.Filter{{Name: aws.String("engine"), Values: customEngines}}, IncludeAll: aws.Bool(true), MaxRecords: aws.Int32(servicePage),
	})
	return wire.EachPage(ctx, pages, func(page *rds.DescribeDBEngineVersionsOutput) *string {
		for i := range page.DBEngineVersions {
			if image := page.DBEngineVersions[i].Image; image != nil {
				s.use(ami.Reference{Source: rdsSource, Type: "rds:CEV", ARN: aws.ToString(page.DBEngineVersions[i].DBEngineVersionArn)}, image.ImageId)
			}
		}
		return page.Marker
	})
}
