package janitor

import (
	"context"
	"regexp"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// aliasTimeout is how long a run looks for the account's alias, beside the rest.
const aliasTimeout = 3 * time.Second

// accountAlias is what IAM allows (IAM User Guide, "Your AWS account ID and its alias").
var accountAlias = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{1,61})[a-z0-9]$`)

// readAlias begins to ask for the account's alias, and returns what waits for it. The alias is
// empty if there is none, or if it is not known: it is only shown.
func (j *Janitor) readAlias(ctx context.Context) (alias func() string) {
	ctx, cancel := context.WithTimeout(ctx, aliasTimeout)
	read := make(chan string, 1)
	go func() {
		out, err := wire.IAM(j.AWS).ListAccountAliases(ctx, &iam.ListAccountAliasesInput{})
		if err != nil || len(out.AccountAliases) != 1 || !accountAlias.MatchString(out.AccountAliases[0]) {
			read <- ""
			return
		}
		read <- out.AccountAliases[0]
	}()
	return func() string {
		defer cancel()
		select {
		case alias := <-read:
			return alias
		case <-ctx.Done():
			return ""
		}
	}
}
