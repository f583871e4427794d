package sweep

import (
	"context"
	"errors"
	"net"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/ami-janitor/ami-janitor/pkg/journal"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// attempts is how often a request is tried before it counts as failed. The pauses between attempts
// double, from firstPause up to longestPause.
const (
	attempts     = 6
	firstPause   = time.Second
	longestPause = 30 * time.Second
)

// eventualAttempts bounds retries of requests that should succeed eventually, to about two minutes.
// IAM may take some time to see new tags, EC2's listings to show them, and the Recycle Bin to show
// what it received; when others use up EC2's request rate, that passes, too.
const eventualAttempts = 9

// answer is EC2's answer to a deregistration.
type answer struct {
	err error // Why the deregistration is not confirmed, or nil.
	// The results for the snapshots of the request, by id.
	codes map[string]types.SnapshotReturnCodes
	// An attempt may have taken effect, but its answer was lost.
	lost bool
	// The image was gone before any attempt could have taken effect.
	gone  bool
	along bool // The request included the snapshots.
	spent bool // No further attempt was worthwhile.
}

// deregister asks EC2 to deregister an image, and to delete its snapshots too if withSnapshots is
// set.
//
// The SDK's own retries are off. If an attempt takes effect and its answer is lost, the next one is
// refused with InvalidAMIID.Unavailable, as after a removal by somebody else; only by counting the
// attempts can we tell the two apart. DeregisterImage takes no client token (Amazon EC2 Developer
// Guide, "Ensuring idempotency").
func (s *sweep) deregister(ctx context.Context, imageID string, withSnapshots bool) answer {
	var a answer
	for attempt := 1; ; attempt++ {
		a = ask(ctx, s.api, imageID, withSnapshots, a)
		a.spent = attempt >= a.tries(s.attemptsFor)
		if a.spent || !pause(ctx, attempt) || s.session.MayContinue(ctx, journal.WithinChunk) != nil {
			break
		}
	}
	if a.err != nil && a.lost {
		if seen, _, _ := wire.FindImage(ctx, s.api, imageID); seen == wire.Gone {
			a.err = nil
		}
	}
	return a
}

// ask makes one attempt after those of the previous answer.
func ask(ctx context.Context, api removalAPI, imageID string, withSnapshots bool, before answer) answer {
	input := ec2.DeregisterImageInput{ImageId: aws.String(imageID)}
	if withSnapshots {
		input.DeleteAssociatedSnapshots = aws.Bool(true)
	}
	out, err := api.DeregisterImage(ctx, &input, func(o *ec2.Options) { o.Retryer = aws.NopRetryer{} })
	a := answer{err: err, lost: before.lost, along: withSnapshots}
	switch {
	case err == nil && aws.ToBool(out.Return):
		a.codes = returnCodes(out.DeleteSnapshotResults)
	case err == nil:
		a.err, a.lost = errUnconfirmed, true
	case wire.IsNoImage(err) && before.lost:
		// EC2 says Unavailable also for an existing image in another state: reading it tells.
		if seen, _, _ := wire.FindImage(ctx, api, imageID); wire.Code(err) == notFound || seen.ConfirmsGone() {
			a.err = nil
		}
	case wire.IsNoImage(err):
		a.gone = true
	case mayHaveTakenEffect(err):
		a.lost = true
	}
	return a
}

var errUnconfirmed = errors.New("EC2 answered without confirming")

// tries is how often an image may be requested, given the latest answer.
func (a answer) tries(attemptsFor func(error) int) int {
	switch {
	case a.err == nil || a.gone:
		return 0
	case wire.Code(a.err) == unauthorized:
		return attemptsFor(a.err)
	case isThrottle(a.err):
		return eventualAttempts
	case wire.IsNoImage(a.err) || errors.Is(a.err, errUnconfirmed) || neverArrived(a.err) || mayHaveTakenEffect(a.err):
		return attempts
	default:
		return 0
	}
}

const (
	notFound = "InvalidAMIID.NotFound"

	// unauthorized is IAM's temporary answer for a resource whose tags it has not seen yet.
	unauthorized = "UnauthorizedOperation"
)

// isForAWhile reports whether EC2 or IAM may refuse only temporarily.
func isForAWhile(err error) bool { return isThrottle(err) || wire.Code(err) == unauthorized }

// isRefused reports whether EC2 refused the removal permanently, and no attempt may have taken
// effect.
func (a answer) isRefused() bool {
	return a.err != nil && a.spent && !a.lost && !a.gone && isRefusal(a.err)
}

// isRefusal reports whether EC2 understood a request and will always refuse it: because of its
// subject, not because of the caller's credentials (EC2 API Reference, "Error codes").
func isRefusal(err error) bool {
	switch wire.Code(err) {
	case "", "RequestExpired", "ExpiredToken", "InvalidClientTokenId", "SignatureDoesNotMatch", "OptInRequired":
		return false
	case "AuthFailure": // Also for other accounts' images.
		return !strings.Contains(wire.Explain(err), "credentials")
	default:
		return !isThrottle(err) && !mayHaveTakenEffect(err) && !isAbsent(err)
	}
}

func isThrottle(err error) bool {
	return retry.IsErrorThrottles(retry.DefaultThrottles).IsErrorThrottle(err) == aws.TrueTernary
}

// mayHaveTakenEffect reports whether an error leaves open what EC2 did: the request was sent, and
// the answer was lost or unreadable, or EC2 failed internally.
func mayHaveTakenEffect(err error) bool {
	if isThrottle(err) || neverArrived(err) {
		return false
	}
	if response, ok := errors.AsType[*smithyhttp.ResponseError](err); ok {
		return response.HTTPStatusCode() >= 500 || wire.Code(err) == ""
	}
	var unanswered *smithyhttp.RequestSendError
	return errors.As(err, &unanswered)
}

// neverArrived reports whether no connection could be made at all.
func neverArrived(err error) bool {
	var network *net.OpError
	return errors.As(err, &network) && network.Op == "dial"
}

func returnCodes(results []types.DeleteSnapshotReturnCode) map[string]types.SnapshotReturnCodes {
	codes := map[string]types.SnapshotReturnCodes{}
	for _, result := range results {
		codes[aws.ToString(result.SnapshotId)] = result.ReturnCode
	}
	return codes
}

// pause waits after an attempt, counted from 1, and reports whether there is still time for another
// one.
func pause(ctx context.Context, attempt int) bool {
	timer := time.NewTimer(min(firstPause<<(attempt-1), longestPause))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
