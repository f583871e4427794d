package organization

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/service/sns"

	"github.com/ami-janitor/ami-janitor/pkg/config"
	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/janitor"
	"github.com/ami-janitor/ami-janitor/pkg/notify"
	"github.com/ami-janitor/ami-janitor/pkg/record"
)

// wholeOrganization is the message attribute account of the organization's own digest.
const wholeOrganization = "organization"

// Tell publishes the digest of the organization, and those of the accounts, each with the message
// attribute account: a filter policy chooses among them.
func (h *Hub) Tell(ctx context.Context, run record.Organization) error {
	client := sns.NewFromConfig(h.AWS)
	var errs []error
	isTold := h.Config.NotifyOn == config.NotifyAlways || run.Error != "" || run.NotSwept != "" || run.Totals.Uncounted > 0
	for _, account := range run.Accounts {
		if account.Error != "" {
			isTold = true
		}
		if account.Record == nil || !janitor.IsTold(*account.Record, h.Config.NotifyOn) {
			continue
		}
		isTold = true
		if topic := h.Config.TopicARN; topic != "" {
			told := *account.Record
			told.Reader = h.Reader
			errs = append(errs, notify.Digest(ctx, client, topic, account.Account, digest.Subject(told), digest.Text(told)))
		}
	}
	if !isTold {
		return errors.Join(errs...)
	}
	if topic := h.Config.TopicARN; topic != "" {
		errs = append(errs, notify.Digest(ctx, client, topic, wholeOrganization, digest.OrganizationSubject(run), digest.OrganizationText(run)))
	}
	if topic := h.Config.ChatTopicARN; topic != "" {
		errs = append(errs, notify.Chat(ctx, client, topic, digest.OrganizationSlack(run)))
	}
	return errors.Join(errs...)
}
