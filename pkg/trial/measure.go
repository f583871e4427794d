package trial

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/rbin"
	rbintypes "github.com/aws/aws-sdk-go-v2/service/rbin/types"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/recyclebin"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// The questions that a trial answers. docs/trial.md says what each answer would change.
const (
	MeasureAnnounced = "announcement seen by DescribeImages"
	MeasureUnmarked  = "end of an announcement seen by DescribeImages"
	MeasureRestored  = "restored image seen by DescribeImages"

	// What the product's own code saw during the first removal.
	MeasureProductTags = "tags read back by the sweep"
	MeasureProductIAM  = "DeregisterImage accepted after the tags"

	// What the trial saw, looking every second, before the second one.
	MeasureTags      = "tags seen by DescribeTags"
	MeasureImages    = "tags seen by DescribeImages"
	MeasureSnapshots = "tags seen by DescribeSnapshots"
	MeasureIAMBefore = "IAM on a removal that is not declared"
	MeasureIAM       = "tags seen by IAM for DeregisterImage"
	MeasureIAMEnd    = "end of tags seen by IAM"
	MeasureIAMDelete = "tags seen by IAM for DeleteSnapshot"

	MeasureBinRule  = "age of the tags that a Recycle Bin rule matched"
	MeasureBin      = "removal seen in the Recycle Bin"
	MeasureBinAgain = "second removal seen in the Recycle Bin"

	MeasureTwice       = "DeregisterImage of what is deregistered"
	MeasureDeleteTwice = "DeleteSnapshot of what is deleted"
	MeasureGone        = "DescribeImages of what is deregistered"

	// MeasureList begins the names of those about lists without an entry; the action follows.
	MeasureList = "empty list of "
)

func (j *journey) say(name, answer string) {
	j.report.Measurements = append(j.report.Measurements, Measurement{Name: name, Answer: answer})
}

// measure notes how long something took that has just been seen, or was not.
func (j *journey) measure(name string, begun time.Time, err error) {
	j.measured(name, j.Clock().Sub(begun), err)
}

func (j *journey) measured(name string, took time.Duration, err error) {
	m := Measurement{Name: name, Seconds: took.Seconds(), Seen: err == nil, Answer: "after " + took.Truncate(time.Second).String()}
	if err != nil {
		m.Answer = "not within " + took.Truncate(time.Second).String() + ": " + err.Error()
	}
	j.report.Measurements = append(j.report.Measurements, m)
}

// observe notes what the sweep saw, from a call on.
func (j *journey) observe(from int) {
	declared, next, ok := j.tap.succeeded(from, "CreateTags", j.image.id)
	if !ok {
		return
	}
	if seen, _, ok := j.tap.succeeded(next, "DescribeTags", j.image.id); ok {
		j.measured(MeasureProductTags, seen.at.Sub(declared.at), nil)
	}
	if accepted, _, ok := j.tap.succeeded(next, "DeregisterImage", j.image.id); ok {
		j.measured(MeasureProductIAM, accepted.at.Sub(declared.at), nil)
		refused := j.tap.count(next, func(c call) bool { return c.action == "DeregisterImage" && c.code == unauthorized })
		j.report.Measurements[len(j.report.Measurements)-1].Answer += fmt.Sprintf(", refused %d times before", refused)
	}
}

const (
	unauthorized = "UnauthorizedOperation"
	dryRun       = "DryRunOperation"
)

// askBefore asks IAM whether it allows removals that are not declared. A dry run checks permissions
// and changes nothing (EC2 API Reference, DeregisterImage, DryRun).
func (j *journey) askBefore(ctx context.Context) error {
	if _, err := j.prove(ctx); err != nil {
		return err
	}
	err := j.tryDeregister(ctx)
	j.isHeld = wire.Code(err) == unauthorized
	answer := "allowed: these credentials may remove without a declaration, so that nothing can be measured"
	switch {
	case j.isHeld:
		answer = "refused, as it should be"
	case err != nil:
		answer = wire.Explain(err)
	}
	j.say(MeasureIAMBefore, answer)
	return nil
}

// tryDeregister returns nil if IAM allows it.
func (j *journey) tryDeregister(ctx context.Context) error {
	_, err := j.ec2.DeregisterImage(ctx, &ec2.DeregisterImageInput{ImageId: aws.String(j.image.id), DryRun: aws.Bool(true)}, once)
	return allowed(err)
}

func (j *journey) tryDelete(ctx context.Context) error {
	_, err := j.ec2.DeleteSnapshot(ctx, &ec2.DeleteSnapshotInput{SnapshotId: aws.String(j.snapshot.id), DryRun: aws.Bool(true)}, once)
	return allowed(err)
}

func allowed(err error) error {
	if wire.Code(err) == dryRun {
		return nil
	}
	if err == nil {
		return errors.New("EC2 answered a dry run with a success")
	}
	return err
}

// measureDeclaration declares the removal as a run does, and looks every second at who sees it.
func (j *journey) measureDeclaration(ctx context.Context) error {
	if _, err := j.prove(ctx); err != nil {
		return err
	}
	if err := j.awaitRefusal(ctx); err != nil {
		return err
	}
	both := []string{j.image.id, j.snapshot.id}
	run := string(ami.NewRunID(j.Clock(), j.Random))
	if err := wire.Tag(ctx, j.ec2, both, map[string]string{ami.IntentTag: ami.Intent, ami.RunTag: run}); err != nil {
		return explained(err)
	}
	declared := j.Clock()
	waiting := []*watch{
		{name: MeasureTags, look: func() error { return j.seesTags(ctx, both, run) }},
		{name: MeasureImages, look: func() error {
			_, found, err := wire.FindImage(ctx, j.ec2, j.image.id)
			return orUnseen(err, valueOf(found.Tags, ami.RunTag) == run)
		}},
		{name: MeasureSnapshots, look: func() error {
			_, found, err := wire.FindSnapshot(ctx, j.ec2, j.snapshot.id)
			return orUnseen(err, valueOf(found.Tags, ami.RunTag) == run)
		}},
	}
	if j.isHeld {
		waiting = append(waiting, &watch{name: MeasureIAM, look: func() error { return j.tryDeregister(ctx) }},
			&watch{name: MeasureIAMDelete, look: func() error { return j.tryDelete(ctx) }})
	}
	err := j.await(ctx, tagsLimit, func() error {
		var unseen []error
		for _, w := range waiting {
			if w.seen.IsZero() {
				if w.err = w.look(); w.err == nil {
					w.seen = j.Clock()
				}
			}
			unseen = append(unseen, w.err)
		}
		return errors.Join(unseen...)
	})
	for _, w := range waiting {
		if w.seen.IsZero() {
			w.seen = j.Clock()
		}
		j.measured(w.name, w.seen.Sub(declared), explained(w.err))
	}
	return explained(err)
}

// awaitRefusal waits until IAM no longer sees the declaration of the first removal: else it would
// allow the second one at once, because of that.
func (j *journey) awaitRefusal(ctx context.Context) error {
	if !j.isHeld {
		return nil
	}
	begun := j.Clock()
	err := j.await(ctx, tagsLimit, func() error {
		if wire.Code(j.tryDeregister(ctx)) != unauthorized || wire.Code(j.tryDelete(ctx)) != unauthorized {
			return errors.New("IAM sees the declaration that was taken off")
		}
		return nil
	})
	j.measure(MeasureIAMEnd, begun, err)
	return err
}

// watch is what a trial looks at until it is seen.
type watch struct {
	name string
	look func() error
	seen time.Time
	err  error
}

var errUnseen = errors.New("the tags are not there")

func orUnseen(err error, seen bool) error {
	if err == nil && !seen {
		return errUnseen
	}
	return err
}

func (j *journey) seesTags(ctx context.Context, ids []string, run string) error {
	found, err := wire.FindTags(ctx, j.ec2, types.Filter{Name: aws.String("resource-id"), Values: ids}, ami.RunTag)
	seen := true
	for _, id := range ids {
		seen = seen && found[id][ami.RunTag] == run
	}
	return orUnseen(err, seen)
}

// untilInBin waits until the Recycle Bin shows both.
func (j *journey) untilInBin(ctx context.Context) error {
	return j.await(ctx, binLimit, func() error {
		exits, err := recyclebin.Exits(ctx, j.ec2, []string{j.image.id}, []string{j.snapshot.id})
		if err != nil {
			return explained(err)
		}
		j.exits = exits
		for _, id := range []string{j.image.id, j.snapshot.id} {
			if exits[id].IsZero() {
				return errors.New("the Recycle Bin does not show " + id)
			}
		}
		return nil
	})
}

// measureBin notes when the bin showed what was removed last, and how old the tags were that its
// rules matched.
func (j *journey) measureBin(name string, err error) {
	gone, next, ok := j.tap.succeeded(j.removal, "DeregisterImage", j.image.id)
	if !ok {
		return // Its answer was lost.
	}
	seen := j.Clock()
	if first, _, ok := j.tap.succeeded(next, "ListImagesInRecycleBin", j.image.id); ok && err == nil {
		seen = first.at
	}
	j.measured(name, seen.Sub(gone.at), err)
	if declared, _, ok := j.tap.succeeded(j.removal, "CreateTags", j.image.id); ok && name == MeasureBin {
		age := gone.at.Sub(declared.at)
		m := Measurement{Name: MeasureBinRule, Seconds: age.Seconds(), Seen: err == nil, Answer: age.Truncate(time.Second).String()}
		if err != nil {
			m.Answer = "unknown; the tags were " + m.Answer + " old: " + err.Error()
		}
		j.report.Measurements = append(j.report.Measurements, m)
	}
}

// lookAtLists asks for lists that have no entry, and notes what comes.
func (j *journey) lookAtLists(ctx context.Context) error {
	none := []types.Filter{{Name: aws.String("tag:" + Tag), Values: []string{"none-" + j.ledger.trial}}}
	var body []byte
	client := ec2.NewFromConfig(j.aws, func(o *ec2.Options) { o.APIOptions = append(slices.Clip(o.APIOptions), keepBody(&body)) })
	rules := rbin.NewFromConfig(j.aws, func(o *rbin.Options) { o.APIOptions = append(slices.Clip(o.APIOptions), keepBody(&body)) })
	for _, list := range []struct {
		action, element string
		ask             func() error
	}{
		{"DescribeImages", "<imagesSet", func() error {
			_, err := client.DescribeImages(ctx, &ec2.DescribeImagesInput{Owners: []string{"self"}, Filters: none})
			return err
		}},
		{"DescribeSnapshots", "<snapshotSet", func() error {
			_, err := client.DescribeSnapshots(ctx, &ec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}, Filters: none})
			return err
		}},
		{"DescribeTags", "<tagSet", func() error {
			_, err := client.DescribeTags(ctx, &ec2.DescribeTagsInput{Filters: []types.Filter{{Name: aws.String("key"), Values: []string{"none-" + j.ledger.trial}}}})
			return err
		}},
		{"DescribeInstances", "<reservationSet", func() error {
			_, err := client.DescribeInstances(ctx, &ec2.DescribeInstancesInput{Filters: none})
			return err
		}},
		{"ListRules", `"Rules"`, func() error {
			_, err := rules.ListRules(ctx, &rbin.ListRulesInput{ResourceType: rbintypes.ResourceTypeEc2Image, ResourceTags: []rbintypes.ResourceTag{
				{ResourceTagKey: aws.String("none-" + j.ledger.trial), ResourceTagValue: aws.String("none")},
			}})
			return err
		}},
	} {
		body = nil
		err := list.ask()
		m := Measurement{Name: MeasureList + list.action, Answer: "left out", Wire: plainAnswer(body)}
		switch {
		case hasEntry.Match(body):
			// The entry is not the trial's.
			m.Answer, m.Wire = "not empty: AWS did not go by the filter", ""
		case err != nil:
			m.Answer = wire.Explain(err)
		case bytes.Contains(body, []byte(list.element)):
			m.Answer, m.Seen = "there", true
		}
		j.report.Measurements = append(j.report.Measurements, m)
	}
	return nil
}

// keepBody keeps the body of the last answer.
func keepBody(body *[]byte) func(*middleware.Stack) error {
	return func(stack *middleware.Stack) error {
		return stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc("KeepBody", func(
			ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler,
		) (middleware.DeserializeOutput, middleware.Metadata, error) {
			out, metadata, err := next.HandleDeserialize(ctx, in)
			if response, ok := out.RawResponse.(*smithyhttp.Response); ok && err == nil {
				*body, err = io.ReadAll(response.Body)
				response.Body = io.NopCloser(bytes.NewReader(*body))
			}
			return out, metadata, err
		}), middleware.After)
	}
}

// hasEntry matches answers whose list has an entry.
var hasEntry = regexp.MustCompile(`<item>|"Rules"\s*:\s*\[\s*\{`)

// mostWire is how much of an answer a report keeps.
const mostWire = 600

var requestID = regexp.MustCompile(`<requestId>[^<]*</requestId>`)

// plainAnswer is an answer on one line, without the id of its request.
func plainAnswer(body []byte) string {
	text := requestID.ReplaceAllString(strings.Join(strings.Fields(string(body)), " "), "<requestId/>")
	return text[:min(len(text), mostWire)]
}

// fieldsThatDiffer returns the names of the fields in which two images differ.
func fieldsThatDiffer(a, b types.Image) []string {
	var names []string
	one, other := reflect.ValueOf(a), reflect.ValueOf(b)
	for _, field := range reflect.VisibleFields(one.Type()) {
		if field.IsExported() && !reflect.DeepEqual(one.FieldByIndex(field.Index).Interface(), other.FieldByIndex(field.Index).Interface()) {
			names = append(names, field.Name)
		}
	}
	return names
}
