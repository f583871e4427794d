// Package organization is a run over all accounts of an organization, step by step: each step is a
// Lambda function of the state machine, and reads what earlier ones have left in the bucket. First
// every account is counted: what it uses and does not own. Only then are plans made, and only when
// all plans are there is anything changed.
package organization

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"golang.org/x/sync/errgroup"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/config"
	"github.com/ami-janitor/ami-janitor/pkg/janitor"
	"github.com/ami-janitor/ami-janitor/pkg/journal"
	"github.com/ami-janitor/ami-janitor/pkg/pace"
	"github.com/ami-janitor/ami-janitor/pkg/record"
)

// Hub is the account from which the accounts of an organization are judged.
type Hub struct {
	Config  config.Config
	AWS     aws.Config // Of the hub itself: the bucket, the topics, STS and Organizations.
	Clock   func() time.Time
	Version string
	Reader  record.Reader // Who reads the texts about runs.

	// Paced says that the rates of requests are limited in each account; see package pace.
	Paced bool

	// ReadFile reads a keep list; see janitor.Janitor.
	ReadFile func(path string) (text []byte, modified time.Time, err error)

	Watch func(stage string, done, total int) // Called as a run goes on; may be nil.
}

// The roles that each account has for the hub.
const (
	readRole  = "read"
	sweepRole = "sweep"
)

// sessionTime is how long a session lasts: the most that role chaining allows (IAM User Guide,
// "Roles terms and concepts"). It is renewed as needed.
const sessionTime = time.Hour

// accountsAtOnce is how many accounts a run on one machine works on at a time.
const accountsAtOnce = 8

// Run carries out all steps in the order of the state machine, and returns the record.
func (h *Hub) Run(ctx context.Context, run ami.RunID, dryRun bool) record.Organization {
	step, err := h.carryOut(ctx, string(run), dryRun)
	return h.Collect(ctx, string(run), step, err)
}

// carryOut returns the step that failed, and why.
func (h *Hub) carryOut(ctx context.Context, run string, dryRun bool) (step string, err error) {
	started, err := h.Targets(ctx, run, dryRun)
	if err != nil {
		return "Targets", err
	}
	h.each("Counting", started.Census, func(account string) error { return h.Census(ctx, run, account) })
	if err := h.Gather(ctx, run); err != nil {
		return "Gather", err
	}
	h.each("Planning", started.Plan, func(account string) error { return h.Plan(ctx, run, account) })
	sweeps, err := h.Allot(ctx, run)
	if err != nil {
		return "Allot", err
	}
	h.each("Removing", sweeps, func(account string) error { return h.Sweep(ctx, run, account) })
	return "", nil
}

// each carries out a step for some accounts, several at a time. An error of one account stops no
// other: what the step has not written is missing for the next one.
func (h *Hub) each(stage string, accounts []Item, do func(account string) error) {
	done := make(chan int, 1)
	done <- 0
	var working errgroup.Group
	working.SetLimit(accountsAtOnce)
	for _, item := range accounts {
		working.Go(func() error {
			_ = do(item.Account) // As in the state machine, what it left tells the next step.
			n := <-done + 1
			if h.Watch != nil {
				h.Watch(stage, n, len(accounts))
			}
			done <- n
			return nil
		})
	}
	_ = working.Wait()
}

// open returns the documents of the organization.
func (h *Hub) open() (*journal.Organization, error) {
	if h.Config.Records == "" {
		return nil, errors.New("no place for records is set: a run over an organization keeps its documents there")
	}
	return journal.OpenOrganization(h.Config.Records, h.AWS)
}

// member returns the janitor of an account that works with one of its roles, or an error if the hub
// may not assume it.
func (h *Hub) member(ctx context.Context, documents *journal.Organization, run, account, partition, role string) (*janitor.Janitor, error) {
	arn := fmt.Sprintf("arn:%s:iam::%s:role/ami-janitor/ami-janitor-%s-%s", partition, account, h.Config.Organization.Namespace, role)
	member := h.AWS.Copy()
	member.Credentials = aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(sts.NewFromConfig(h.AWS), arn, func(o *stscreds.AssumeRoleOptions) {
		o.RoleSessionName, o.Duration = "ami-janitor-"+run, sessionTime
		if id := h.Config.Organization.ExternalID; id != "" {
			o.ExternalID = &id
		}
	}))
	if _, err := member.Credentials.Retrieve(ctx); err != nil {
		return nil, explained("assuming "+arn, err)
	}
	if h.Paced {
		pace.New(h.Config.EC2Share).Apply(&member)
	}
	settings := h.Config
	settings.Records = documents.Account(account)
	return &janitor.Janitor{
		Config: settings, AWS: member, Home: &h.AWS, Only: account, Clock: h.Clock, Version: h.Version, Reader: h.Reader, ReadFile: h.ReadFile,
	}, nil
}

var accountID = regexp.MustCompile(`^[0-9]{12}$`)

// check returns an error if the input of a step names no account.
func check(account string) error {
	if !accountID.MatchString(account) {
		return fmt.Errorf("%q is not the id of an account", account)
	}
	return nil
}
