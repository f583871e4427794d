package janitor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/notify"
	"github.com/ami-janitor/ami-janitor/pkg/plain"
)

const (
	ownersTime   = 10 * time.Second // For the messages to owners, at most; digestTime covers it.
	logTime      = 3 * time.Second  // Is left of a deadline for the log and the answer.
	ownersAtOnce = 8
	ownersNamed  = 5 // In an error.
)

// tellOwners publishes the messages to owners. One that fails does not keep others from being
// published.
func (j *Janitor) tellOwners(ctx context.Context, client notify.Publisher, messages []digest.OwnerMessage) error {
	limit := ownersTime
	if deadline, ok := ctx.Deadline(); ok {
		limit = min(limit, deadline.Sub(j.Clock())-logTime)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	faults := make([]error, len(messages))
	var group errgroup.Group
	group.SetLimit(ownersAtOnce)
	for i, m := range messages {
		group.Go(func() error {
			to := notify.Addressee{Owner: m.Owner, Account: m.Account, Kinds: m.Kinds}
			faults[i] = notify.Owner(ctx, client, j.Config.OwnersTopicARN, to, m.Subject, m.Text)
			return nil
		})
	}
	_ = group.Wait() // Every fault has its place.
	return ownersUntold(messages, faults)
}

// ownersUntold says which owners have no message; nil if all have one.
func ownersUntold(messages []digest.OwnerMessage, faults []error) error {
	var errs []error
	more := 0
	for i, fault := range faults {
		switch owner := messages[i].Owner; {
		case fault == nil:
		case len(errs) == ownersNamed:
			more++
		case owner == "":
			errs = append(errs, fmt.Errorf("whoever takes care of images without an owner is not told: %w", fault))
		default:
			errs = append(errs, fmt.Errorf("owner %s is not told: %w", plain.Printable(owner), fault))
		}
	}
	if more > 0 {
		errs = append(errs, fmt.Errorf("and %d more owners are not told", more))
	}
	return errors.Join(errs...)
}
