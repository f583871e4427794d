package organization

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"

	"github.com/ami-janitor/ami-janitor/pkg/census"
	"github.com/ami-janitor/ami-janitor/pkg/config"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// listing is what Organizations says.
type listing struct {
	id, partition string
	management    string           // The id of the management account.
	accounts      []census.Account // By id.
	units         map[string]bool  // The organizational units, by id.
}

// list lists the accounts of the organization twice: all at once, and by the tree of organizational
// units. Both must agree: an account that is missing from a list would not be counted, and nobody
// would know.
func list(ctx context.Context, config aws.Config) (listing, error) {
	client := organizations.NewFromConfig(wire.In(config, config.Region))
	described, err := client.DescribeOrganization(ctx, &organizations.DescribeOrganizationInput{})
	if err != nil {
		return listing{}, explained("describing the organization", err)
	}
	found := listing{units: map[string]bool{}}
	if described.Organization != nil {
		found.id = aws.ToString(described.Organization.Id)
		found.management = aws.ToString(described.Organization.MasterAccountId)
		found.partition = partition(aws.ToString(described.Organization.Arn))
	}
	if found.id == "" {
		return listing{}, errors.New("describing the organization: Organizations answered without its id")
	}
	paths, err := readTree(ctx, client, &found)
	if err != nil {
		return listing{}, explained("listing the accounts by organizational unit", err)
	}
	if found.accounts, err = readAccounts(ctx, client, paths); err != nil {
		return listing{}, explained("listing the accounts", err)
	}
	return found, nil
}

func explained(what string, err error) error {
	return fmt.Errorf("%s: %s", what, wire.ExplainLookup(err))
}

// partition is the second field of an ARN, "aws" if it has none.
func partition(arn string) string {
	if fields := strings.Split(arn, ":"); len(fields) > 1 {
		return cmp.Or(fields[1], "aws")
	}
	return "aws"
}

// readTree returns the path to each account by its id.
func readTree(ctx context.Context, client *organizations.Client, found *listing) (map[string]string, error) {
	paths := map[string]string{}
	type parent struct{ id, path string }
	var parents []parent
	roots := organizations.NewListRootsPaginator(client, &organizations.ListRootsInput{})
	err := wire.EachPage(ctx, roots, func(page *organizations.ListRootsOutput) *string {
		for _, root := range page.Roots {
			parents = append(parents, parent{aws.ToString(root.Id), found.id + "/" + aws.ToString(root.Id) + "/"})
		}
		return page.NextToken
	})
	if err != nil {
		return nil, err
	}
	for len(parents) > 0 {
		at := parents[0]
		parents = parents[1:]
		units := organizations.NewListOrganizationalUnitsForParentPaginator(client, &organizations.ListOrganizationalUnitsForParentInput{ParentId: &at.id})
		err := wire.EachPage(ctx, units, func(page *organizations.ListOrganizationalUnitsForParentOutput) *string {
			for _, unit := range page.OrganizationalUnits {
				id := aws.ToString(unit.Id)
				found.units[id] = true
				parents = append(parents, parent{id, at.path + id + "/"})
			}
			return page.NextToken
		})
		if err != nil {
			return nil, err
		}
		accounts := organizations.NewListAccountsForParentPaginator(client, &organizations.ListAccountsForParentInput{ParentId: &at.id})
		err = wire.EachPage(ctx, accounts, func(page *organizations.ListAccountsForParentOutput) *string {
			for _, account := range page.Accounts {
				paths[aws.ToString(account.Id)] = at.path
			}
			return page.NextToken
		})
		if err != nil {
			return nil, err
		}
	}
	return paths, nil
}

// readAccounts lists all accounts, whose paths are known.
func readAccounts(ctx context.Context, client *organizations.Client, paths map[string]string) ([]census.Account, error) {
	all := map[string]census.Account{}
	var faults []error
	pages := organizations.NewListAccountsPaginator(client, &organizations.ListAccountsInput{})
	err := wire.EachPage(ctx, pages, func(page *organizations.ListAccountsOutput) *string {
		for i := range page.Accounts {
			account, err := readAccount(&page.Accounts[i])
			if err != nil {
				faults = append(faults, err)
			}
			account.Path = paths[account.ID]
			all[account.ID] = account
		}
		return page.NextToken
	})
	if err := cmp.Or(err, errors.Join(faults...)); err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, errors.New("there are none")
	}
	for _, id := range slices.Sorted(maps.Keys(all)) {
		if all[id].Path == "" {
			return nil, fmt.Errorf("ListAccounts lists %s, and no organizational unit does", id)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(paths)) {
		if _, ok := all[id]; !ok {
			return nil, fmt.Errorf("an organizational unit lists %s, and ListAccounts does not", id)
		}
	}
	return slices.SortedFunc(maps.Values(all), func(a, b census.Account) int { return strings.Compare(a.ID, b.ID) }), nil
}

// readAccount reads State: Organizations has retired Status (Organizations User Guide, "Monitor the
// state of your AWS accounts").
func readAccount(account *types.Account) (census.Account, error) {
	read := census.Account{ID: aws.ToString(account.Id), Name: aws.ToString(account.Name), State: string(account.State)}
	if account.JoinedMethod == types.AccountJoinedMethodCreated {
		read.CreatedAt = aws.ToTime(account.JoinedTimestamp)
	}
	if err := check(read.ID); err != nil {
		return read, err
	}
	if read.State == "" {
		return read, fmt.Errorf("account %s is listed without its State", read.ID)
	}
	return read, nil
}

// choose says which accounts are judged. An id that the organization does not have is an error: an
// exception that is mistyped must not be none.
func choose(found listing, settings config.Organization) ([]Target, error) {
	for _, name := range slices.Concat(settings.Accounts.Names, settings.Except) {
		isKnown := found.units[name] || slices.ContainsFunc(found.accounts, func(a census.Account) bool { return a.ID == name })
		if !isKnown {
			return nil, fmt.Errorf("the accounts to judge, and those to leave out: the organization has no %s", name)
		}
	}
	targets := make([]Target, len(found.accounts))
	for i, account := range found.accounts {
		isNamed := func(name string) bool { return account.ID == name || account.In(name) }
		targets[i].Account = account
		switch {
		case account.State != census.Active:
			targets[i].NotJudged = "the account is " + account.State
		case slices.ContainsFunc(settings.Except, isNamed):
			targets[i].NotJudged = "it is among the accounts to leave out"
		case !settings.Accounts.All && !slices.ContainsFunc(settings.Accounts.Names, isNamed):
			targets[i].NotJudged = "it is not among the accounts to judge"
		default:
			targets[i].Judged = true
		}
	}
	return targets, nil
}
