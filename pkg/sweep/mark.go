package sweep

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

const (
	available = string(types.ImageStateAvailable)
	disabled  = string(types.ImageStateDisabled)
)

// markImage announces the removal of one image. If the image should be disabled but is shared, or
// may be, the next run decides: disabling an image drops its launch permissions permanently (EC2
// User Guide, "Disable an Amazon EC2 AMI"), and the plan in the journal says that this one is
// disabled.
func (s *sweep) markImage(ctx context.Context, i *image) {
	if i.Action == retention.Disable && i.Image.State != disabled {
		switch err := mayDisable(ctx, s.api, i.Image); {
		case wire.IsNoImage(err):
			i.leave(ami.Skipped, "gone before this run came to it")
			return
		case err != nil:
			i.leave(ami.Skipped, "left to the next run: it was to be disabled, and is shared, or may be: "+wire.Explain(err))
			return
		}
	}
	err := s.announce(ctx, i)
	_, doubtful := errors.AsType[doubtError](err)
	switch {
	case err == nil:
		i.leave(ami.Marked, "")
	case errors.Is(err, errGone):
		i.leave(ami.Skipped, "gone before this run came to it")
	case doubtful:
		i.leave(ami.Failed, "may or may not be marked: "+err.Error())
	default:
		i.leave(ami.Failed, "could not be marked: "+err.Error())
	}
}

// mayDisable reads again whether an image is shared, and returns why it may not be disabled.
func mayDisable(ctx context.Context, api markAPI, image ami.Image) error {
	if image.Public {
		return errors.New("everyone may launch it")
	}
	out, err := api.DescribeImageAttribute(ctx, &ec2.DescribeImageAttributeInput{
		ImageId:   aws.String(image.ID),
		Attribute: types.ImageAttributeNameLaunchPermission,
	})
	switch {
	case err != nil:
		return err
	case aws.ToString(out.ImageId) != image.ID:
		return errors.New("EC2 answered for another image")
	case len(out.LaunchPermissions) > 0:
		return errors.New("it has launch permissions")
	default:
		return nil
	}
}

// announce writes the tags first, and then deprecates or disables the image, so that no disabled
// image lacks the tag that says who disabled it. If that fails, the tags come off again: a tag that
// says disabled on an enabled image would read as an objection. They stay if the result is unknown.
//
// Remains of an older announcement are taken off before, also in other spellings, because the
// earliest of several named runs counts. An image that an earlier run disabled stays disabled, and
// says so; nothing else is done to it.
func (s *sweep) announce(ctx context.Context, i *image) error {
	image, day := i.Image, i.Due.UTC().Truncate(24*time.Hour)
	tags := map[string]string{
		ami.DueTag:         day.Format(time.DateOnly),
		ami.AnnouncedByTag: retention.AnnouncedBy(s.Run, s.Policy),
	}
	if i.Action == retention.Disable || image.State == disabled {
		tags[ami.DisabledTag] = s.Run
	}
	older := slices.DeleteFunc(carried(image, ami.DueTag, ami.AnnouncedByTag, ami.DisabledTag), func(key string) bool {
		_, isWritten := tags[key]
		return isWritten
	})
	if err := untag(ctx, s.api, image.ID, older); err != nil {
		return err
	}
	err := tag(ctx, s.api, image.ID, tags)
	if _, i.announced = errors.AsType[doubtError](err); err != nil {
		return err
	}
	err = act(ctx, s.api, *i.Verdict, day)
	i.announced = true
	if _, doubtful := errors.AsType[doubtError](err); err == nil || doubtful || errors.Is(err, errGone) {
		return err
	}
	left := untag(ctx, s.api, image.ID, slices.Sorted(maps.Keys(tags)))
	if i.announced = left != nil; i.announced {
		return fmt.Errorf("%w; %w", err, left)
	}
	return err
}

// act applies the grace action to an image, apart from its tags.
func act(ctx context.Context, api markAPI, verdict retention.Verdict, day time.Time) error {
	image := verdict.Image
	switch {
	case image.State == disabled:
		return nil
	case verdict.Action == retention.Disable:
		return disable(ctx, api, image.ID)
	case verdict.Action == retention.Deprecate:
		return deprecate(ctx, api, image.ID, day)
	default:
		return nil
	}
}

// Unmark takes back the announcement of one image: it enables the image, ends its deprecation and
// takes tags off, as undo says. With veto it notes the day as a restore. A missing image needs
// nothing.
//
// Wherever it is interrupted, a remaining part of the mark never leads to a removal. With a veto,
// it takes off the tag with the day first, which is an objection in itself; and while an image is
// disabled it carries the tag that says so.
func Unmark(ctx context.Context, api API, image ami.Image, veto bool, undo retention.Undo, now time.Time) error {
	err := unmark(ctx, api, image, veto, undo, now)
	if errors.Is(err, errGone) {
		return nil
	}
	return err
}

func unmark(ctx context.Context, api markAPI, image ami.Image, veto bool, undo retention.Undo, now time.Time) error {
	keys := undo.Keys
	if veto {
		due := carried(image, ami.DueTag)
		if err := untag(ctx, api, image.ID, due); err != nil {
			return err
		}
		keys = slices.DeleteFunc(slices.Clone(keys), func(key string) bool { return slices.Contains(due, key) })
	}
	if undo.Enable {
		if err := enable(ctx, api, image.ID); err != nil {
			return err
		}
	}
	if undo.EndDeprecation {
		if err := cancelDeprecation(ctx, api, image.ID); err != nil {
			return err
		}
	}
	if veto {
		restored := map[string]string{ami.RestoredTag: now.UTC().Format(time.DateOnly)}
		if err := tag(ctx, api, image.ID, restored); err != nil {
			return err
		}
	}
	return untag(ctx, api, image.ID, keys)
}

// carried returns the keys of the janitor's tags on an image, as they are written; sorted. Like
// package retention it ignores case and surrounding blanks.
func carried(image ami.Image, names ...string) []string {
	var keys []string
	for key := range image.Tags {
		if slices.Contains(names, strings.ToLower(strings.TrimSpace(key))) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}
