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

// attempts is how often a request is tried before it counts as failed. The pauses between them double, from firstPause up to
// longestPause.
const (
	attempts     = 6
	firstPause   = time.Second
	longestPause = 30 * time.Second
)

// patience is how often it is looked for what is bound to come, and how often a request is tried that is refused for a while
// only: for two minutes. IAM may take some time to see new tags, EC2's listings to show them, and the Recycle Bin to show
// what it has taken in; when others use up EC2's request rate, that passes, too.
const patience = 9

// answer is what EC2 said to a deregistration.
type answer struct {
	err   error                                // Why the deregistration is not confirmed; nil if it is.
	codes map[string]types.SnapshotReturnCodes // What became of the snapshots that were to go along, by id.
	lost  bool                                 // An attempt may have taken effect, but its answer never came.
	gone  bool                                 // The image was gone before any attempt could have taken effect.
	along bool                                 // The snapshots were to go along.
	spent bool                                 // There was no reason for a further attempt.
}

// deregister asks EC2 to deregister an image, and to delete its snapshots along with it if withSnapshots is set.
//
// The SDK's own retries are off. When an attempt takes effect and only its answer is lost, the next one is refused with
// InvalidAMIID.Unavailable, as it is when somebody else was faster; only who counts the attempts can tell the two apart.
// DeregisterImage takes no client token (Amazon EC2 Developer Guide, "Ensuring idempotency").
func (s *sweep) deregister(ctx context.Context, imageID string, withSnapshots bool) answer {
	var a answer
	for attempt := 1; ; attempt++ {
		a = ask(ctx, s.api, imageID, withSnapshots, a)
		a.spent = attempt >= a.tries(s.patienceFor)
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

// ask makes one attempt after those that led to the answer before.
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
		// Unavailable is also said of an image that is there, in another state: looking tells.
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

// tries is how often an image may be asked for, given the latest answer.
func (a answer) tries(patienceFor func(error) int) int {
	switch {
	case a.err == nil || a.gone:
		return 0
	case wire.Code(a.err) == unauthorized:
		return patienceFor(a.err)
	case isThrottle(a.err):
		return patience
	case wire.IsNoImage(a.err) || errors.Is(a.err, errUnconfirmed) || neverArrived(a.err) || mayHaveTakenEffect(a.err):
		return attempts
	default:
		return 0
	}
}

const (
	notFound = "InvalidAMIID.NotFound"

	// unauthorized is what IAM says for a while of a resource whose tags it has not seen yet.
	unauthorized = "UnauthorizedOperation"
)

// isForAWhile reports whether EC2 or IAM may refuse only for now.
func isForAWhile(err error) bool { return isThrottle(err) || wire.Code(err) == unauthorized }

// isRefused reports whether EC2 has refused the removal for good, and no attempt may have taken effect.
func (a answer) isRefused() bool {
	return a.err != nil && a.spent && !a.lost && !a.gone && isRefusal(a.err)
}

// isRefusal reports whether EC2 has understood a request and refuses it, whenever it comes: for what it concerns, and not for the
// credentials with which it was sent (EC2 API Reference, "Error codes").
func isRefusal(err error) bool {
	switch wire.Code(err) {
	case "", "RequestExpired", "ExpiredToken", "InvalidClientTokenId", "SignatureDoesNotMatch", "OptInRequired":
		return false
	case "AuthFailure": // Also of images of others.
		return !strings.Contains(wire.Explain(err), "credentials")
	default:
		return !isThrottle(err) && !mayHaveTakenEffect(err) && !isAbsent(err)
	}
}

func isThrottle(err error) bool {
	return retry.IsErrorThrottles(retry.DefaultThrottles).IsErrorThrottle(err) == aws.TrueTernary
}

// mayHaveTakenEffect reports whether an error leaves open what EC2 did: the request was sent, and there was no answer that
// could be understood, or EC2 failed while it worked.
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

// pause waits after an attempt, the first of which is 1, and reports whether there is still time for another one.
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
