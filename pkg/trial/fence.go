package trial

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/smithy-go/middleware"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
)

// fence lets a change of an image or a snapshot pass only if it is about what the trial has made.
// All clients of a trial have it, also those of the product's own code, which therefore cannot
// touch anything else, whatever its faults. It is safe for concurrent use.
type fence struct {
	trial, region string

	mu  sync.Mutex
	ids map[string]bool // What is proven to be the trial's own.
	key string          // The client token or the name of what may be made; empty for nothing.
}

// errFence is the error of a request that was not sent.
var errFence = errors.New("not sent")

// over adds the fence to the clients of a configuration.
func (f *fence) over(config aws.Config) aws.Config {
	config.APIOptions = append(slices.Clip(config.APIOptions), func(stack *middleware.Stack) error {
		return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("Fence", f.pass), middleware.After)
	})
	return config
}

// admit lets changes of an image or a snapshot pass from now on.
func (f *fence) admit(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ids[id] = true
}

// expect lets one image or snapshot be made, by its name or its client token; empty for none.
func (f *fence) expect(key string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.key = key
}

func (f *fence) pass(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (
	middleware.InitializeOutput, middleware.Metadata, error,
) {
	action := awsmiddleware.GetOperationName(ctx)
	if isRead(action) {
		return next.HandleInitialize(ctx, in)
	}
	err := f.check(in.Parameters)
	if region := awsmiddleware.GetRegion(ctx); err == nil && region != f.region {
		err = fmt.Errorf("the trial is in %s, and not in %s", f.region, region)
	}
	if err != nil {
		return middleware.InitializeOutput{}, middleware.Metadata{}, fmt.Errorf("%s: %w: %w", action, errFence, err)
	}
	return next.HandleInitialize(ctx, in)
}

// isRead reports whether an action changes nothing, by its name.
func isRead(action string) bool {
	return strings.HasPrefix(action, "Describe") || strings.HasPrefix(action, "List") || strings.HasPrefix(action, "Get")
}

// check returns why a change may not be made.
func (f *fence) check(parameters any) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch p := parameters.(type) {
	case *ebs.StartSnapshotInput:
		return f.checkStart(p)
	case *ec2.RegisterImageInput:
		return f.checkRegister(p)
	case *ec2.CreateTagsInput:
		for _, tag := range p.Tags {
			if err := checkTag(aws.ToString(tag.Key)); err != nil {
				return err
			}
		}
	case *ec2.DeleteTagsInput:
		if len(p.Tags) == 0 {
			return errors.New("it would take off all tags")
		}
		for _, tag := range p.Tags {
			if err := checkTag(aws.ToString(tag.Key)); err != nil {
				return err
			}
		}
	}
	ids, err := changed(parameters)
	if err == nil && len(ids) == 0 {
		err = errors.New("it names nothing")
	}
	for _, id := range ids {
		if err == nil && !f.ids[id] {
			err = fmt.Errorf("%q is not of this trial", id)
		}
	}
	return err
}

// checkTag refuses tags that are not the janitor's, and the one by which the trial knows its own.
func checkTag(key string) error {
	if key == Tag || !strings.HasPrefix(key, ami.TagPrefix) {
		return fmt.Errorf("a trial does not change the tag %q", key)
	}
	return nil
}

func (f *fence) checkStart(p *ebs.StartSnapshotInput) error {
	isTagged := len(p.Tags) == 1 && aws.ToString(p.Tags[0].Key) == Tag && aws.ToString(p.Tags[0].Value) == f.trial
	if f.key == "" || aws.ToString(p.ClientToken) != f.key || !isTagged || p.ParentSnapshotId != nil {
		return errors.New("the ledger has no such snapshot")
	}
	return nil
}

func (f *fence) checkRegister(p *ec2.RegisterImageInput) error {
	if f.key == "" || aws.ToString(p.Name) != f.key || p.ImageLocation != nil {
		return errors.New("the ledger has no such image")
	}
	for _, mapping := range p.BlockDeviceMappings {
		if mapping.Ebs == nil || !f.ids[aws.ToString(mapping.Ebs.SnapshotId)] {
			return errors.New("it maps what is not of this trial")
		}
	}
	return nil
}

// changed returns the ids that a change is about. An action that no trial makes is an error.
func changed(parameters any) ([]string, error) {
	var id *string
	switch p := parameters.(type) {
	case *ebs.PutSnapshotBlockInput:
		id = p.SnapshotId
	case *ebs.CompleteSnapshotInput:
		id = p.SnapshotId
	case *ec2.CreateTagsInput:
		return p.Resources, nil
	case *ec2.DeleteTagsInput:
		return p.Resources, nil
	case *ec2.DisableImageInput:
		id = p.ImageId
	case *ec2.EnableImageInput:
		id = p.ImageId
	case *ec2.DeregisterImageInput:
		id = p.ImageId
	case *ec2.DeleteSnapshotInput:
		id = p.SnapshotId
	case *ec2.RestoreImageFromRecycleBinInput:
		id = p.ImageId
	case *ec2.RestoreSnapshotFromRecycleBinInput:
		id = p.SnapshotId
	default:
		return nil, errors.New("no trial makes this change")
	}
	return []string{aws.ToString(id)}, nil
}
