package janitor

import (
	"context"
	"fmt"
	"time"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/middleware"
)

// clocksApart is how far the clock of this machine may be from AWS's. The SDK corrects the time of
// its signatures by itself, so that no call fails because of a wrong clock.
const clocksApart = 5 * time.Minute

// compareClocks compares the clock of this machine with the date of an answer by AWS, and returns
// an error if they are too far apart. AWS may have dated the answer at any moment between asked and
// now. An answer without a date proves nothing, and stops nothing.
func (j *Janitor) compareClocks(asked time.Time, answer middleware.Metadata) error {
	theirs, ok := awsmiddleware.GetServerTime(answer)
	ours := j.Clock().Round(0) // The wall clock, without the monotonic one.
	isRight := !theirs.Before(asked.Round(0).Add(-clocksApart)) && !theirs.After(ours.Add(clocksApart))
	if !ok || isRight {
		return nil
	}
	return fmt.Errorf("it is %s by the clock of this machine, and %s by that of AWS, so that no idle time is right; set the clock, and try again",
		ours.UTC().Format(time.RFC3339), theirs.UTC().Format(time.RFC3339))
}

// checkClock is for callers that do not need the account id. A failed call proves nothing, either.
func (j *Janitor) checkClock(ctx context.Context) error {
	asked := j.Clock()
	out, err := sts.NewFromConfig(j.AWS).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return nil //nolint:nilerr // The next call reports it.
	}
	return j.compareClocks(asked, out.ResultMetadata)
}
