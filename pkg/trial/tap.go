package trial

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go/middleware"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// tap notes what the clients of a trial ask, and what AWS answers. So the trial measures what the
// product's own code sees, while that works as it does in a run. It is safe for concurrent use.
type tap struct {
	clock func() time.Time

	mu    sync.Mutex
	calls []call
}

// call is an answered request.
type call struct {
	action string
	at     time.Time // When the answer came.
	ids    []string  // What it is about, or what the answer shows.
	code   string    // AWS's error code; empty for a success.
	failed bool
}

func (t *tap) over(config aws.Config) aws.Config {
	config.APIOptions = append(slices.Clip(config.APIOptions), func(stack *middleware.Stack) error {
		return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("Tap", t.note), middleware.After)
	})
	return config
}

func (t *tap) note(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (
	middleware.InitializeOutput, middleware.Metadata, error,
) {
	out, metadata, err := next.HandleInitialize(ctx, in)
	c := call{action: awsmiddleware.GetOperationName(ctx), at: t.clock(), code: wire.Code(err), failed: err != nil}
	if c.ids, _ = changed(in.Parameters); len(c.ids) == 0 {
		c.ids = shown(out.Result)
	}
	if tags, ok := in.Parameters.(*ec2.CreateTagsInput); ok && !declares(tags.Tags) {
		c.ids = nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.calls = append(t.calls, c)
	return out, metadata, err
}

// declares reports whether tags declare a removal.
func declares(tags []types.Tag) bool { return valueOf(tags, ami.IntentTag) == ami.Intent }

// shown returns the ids that an answer shows: those with the declaration of a removal, and those in
// the Recycle Bin.
func shown(answer any) []string {
	var ids []string
	switch a := answer.(type) {
	case *ec2.DescribeTagsOutput:
		for _, tag := range a.Tags {
			if aws.ToString(tag.Key) == ami.IntentTag && aws.ToString(tag.Value) == ami.Intent {
				ids = append(ids, aws.ToString(tag.ResourceId))
			}
		}
	case *ec2.DescribeImagesOutput:
		for _, i := range a.Images {
			if declares(i.Tags) {
				ids = append(ids, aws.ToString(i.ImageId))
			}
		}
	case *ec2.DescribeSnapshotsOutput:
		for _, s := range a.Snapshots {
			if declares(s.Tags) {
				ids = append(ids, aws.ToString(s.SnapshotId))
			}
		}
	case *ec2.ListImagesInRecycleBinOutput:
		for _, i := range a.Images {
			ids = append(ids, aws.ToString(i.ImageId))
		}
	case *ec2.ListSnapshotsInRecycleBinOutput:
		for _, s := range a.Snapshots {
			ids = append(ids, aws.ToString(s.SnapshotId))
		}
	}
	return ids
}

// now returns the number of calls so far, from which find and count can go on. Times can be equal.
func (t *tap) now() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.calls)
}

// find returns the first call that fits, from a number on, and the number of the call after it.
func (t *tap) find(from int, fits func(call) bool) (found call, next int, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for n, c := range t.calls[from:] {
		if fits(c) {
			return c, from + n + 1, true
		}
	}
	return call{}, 0, false
}

// succeeded is the first success of an action with an id, from a number on.
func (t *tap) succeeded(from int, action, id string) (found call, next int, ok bool) {
	return t.find(from, func(c call) bool { return c.action == action && !c.failed && slices.Contains(c.ids, id) })
}

// count is how many calls fit, from a number on.
func (t *tap) count(from int, fits func(call) bool) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for _, c := range t.calls[from:] {
		if fits(c) {
			n++
		}
	}
	return n
}
