package janitor

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/ami-janitor/ami-janitor/pkg/config"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// readKeepList reads the keep list, if the configuration names one.
func (j *Janitor) readKeepList(ctx context.Context) (retention.KeepList, error) {
	location := j.Config.KeepList
	if location == "" {
		return retention.KeepList{}, nil
	}
	text, err := j.readText(ctx, location)
	if err != nil {
		return retention.KeepList{}, fmt.Errorf("the keep list, %s, cannot be read: %s", location, wire.ExplainLookup(err))
	}
	list, err := retention.ParseKeepList(text)
	if err != nil {
		return retention.KeepList{}, fmt.Errorf("the keep list, %s, is not understood: %w", location, err)
	}
	return list, nil
}

func (j *Janitor) readText(ctx context.Context, location config.KeepList) (string, error) {
	name, region, isParameter := location.Parameter()
	switch {
	case !isParameter && j.ReadFile == nil:
		return "", errors.New("files cannot be read here")
	case !isParameter:
		text, err := j.ReadFile(string(location))
		return string(text), err
	}
	client := wire.SSM(j.AWS, cmp.Or(region, j.AWS.Region))
	out, err := client.GetParameters(ctx, &ssm.GetParametersInput{Names: []string{name}})
	switch {
	case err != nil:
		return "", err
	case len(out.Parameters) != 1:
		return "", errors.New("there is no such parameter")
	case out.Parameters[0].Type == types.ParameterTypeSecureString:
		return "", errors.New("it is a SecureString, which the janitor does not decrypt")
	}
	return aws.ToString(out.Parameters[0].Value), nil
}
