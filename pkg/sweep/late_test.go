package sweep_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/pace"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// When time runs out, some removals wait for their turn at EC2. They were not reached, and did not
// fail.
func TestRemovalsThatHaveNotLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var images []object
		var verdicts []retention.Verdict
		for n := 1; n <= 300; n++ {
			images = append(images, image(n, n))
			verdicts = append(verdicts, due(n, n))
		}
		account := load(t, images...)
		config := aws.Config{
			HTTPClient:  account.Client(),
			Credentials: credentials.NewStaticCredentialsProvider("AKIAIOSFODNN7EXAMPLE", "secret", ""),
		}
		pace.New(0.5).Apply(&config)
		begin, stopBegin := context.WithTimeout(t.Context(), 40*time.Second)
		defer stopBegin()
		ctx, stop := context.WithTimeout(t.Context(), 49900*time.Millisecond)
		defer stop()
		orders := passing(quiet)
		orders.sideBySide = true
		outcomes := carryOutOver(ctx, begin, wire.EC2(config, "us-east-1"), planOf(verdicts...), orders).Outcomes
		removed := 0
		for _, outcome := range outcomes {
			if outcome.Status == ami.Deregistered {
				removed++
			} else if outcome.Code != ami.OutcomeNotReached {
				t.Errorf("%+v", outcome)
			}
		}
		if removed < 100 || removed > 200 {
			t.Errorf("%d are removed", removed)
		}
	})
}
