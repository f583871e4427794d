package organization

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"
)

// Copy is an organization as the directory of a copy describes it, in organization.json.
type Copy struct {
	Organization Described
	Hub          string // The account in which the rehearsed functions run.
	Accounts     []DescribedAccount
}

// Described is an organization.
type Described struct {
	ID              string `json:"Id"`
	ARN             string `json:"Arn"`
	MasterAccountID string `json:"MasterAccountId"`
}

// DescribedAccount is an account of an organization.
type DescribedAccount struct {
	ID    string `json:"Id"`
	Name  string
	State string
	Path  string

	// How and when the organization created the account; absent if it did not.
	JoinedMethod    string    `json:",omitempty"`
	JoinedTimestamp time.Time `json:",omitzero"`
}

// Describe lists the organization as Targets does. The hub is the given account.
func Describe(ctx context.Context, config aws.Config, hub string) (Copy, error) {
	found, err := list(ctx, config)
	if err != nil {
		return Copy{}, err
	}
	described := Copy{Organization: Described{found.id, found.arn(), found.management}, Hub: hub}
	for _, account := range found.accounts {
		a := DescribedAccount{ID: account.ID, Name: account.Name, State: account.State, Path: account.Path, JoinedTimestamp: account.CreatedAt}
		if !account.CreatedAt.IsZero() {
			a.JoinedMethod = string(types.AccountJoinedMethodCreated)
		}
		described.Accounts = append(described.Accounts, a)
	}
	return described, nil
}

// arn is the ARN of the organization.
func (l listing) arn() string {
	return "arn:" + l.partition + ":organizations::" + l.management + ":organization/" + l.id
}
