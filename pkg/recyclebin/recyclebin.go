// Package recyclebin reads what the Recycle Bin of a region holds, and its retention rules. It
// changes nothing.
package recyclebin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rbin"
	"github.com/aws/aws-sdk-go-v2/service/rbin/types"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// pageSize is the largest page size of each of the listings (Recycle Bin API Reference, ListRules;
// EC2 API Reference, ListImagesInRecycleBin and ListSnapshotsInRecycleBin).
const pageSize = 1000

// RulesAPI reads the rules.
type RulesAPI interface {
	rbin.ListRulesAPIClient
	GetRule(context.Context, *rbin.GetRuleInput, ...func(*rbin.Options)) (*rbin.GetRuleOutput, error)
}

// Read returns the rules that are in force in the clients' region, and all contents of the bin. If
// a part cannot be read, the result is not Read, and Err says what is missing.
func Read(ctx context.Context, rules RulesAPI, contents ContentsAPI) ami.RecycleBin {
	bin := ami.RecycleBin{Read: true}
	for _, kind := range []types.ResourceType{types.ResourceTypeEc2Image, types.ResourceTypeEbsSnapshot} {
		inForce, err := readRules(ctx, rules, kind)
		if err != nil {
			return ami.RecycleBin{Err: "reading the rules of the Recycle Bin: " + err.Error()}
		}
		bin.Rules = append(bin.Rules, inForce...)
	}
	var err error
	if bin.Images, err = listImages(ctx, contents); err == nil {
		bin.Snapshots, err = listSnapshots(ctx, contents)
	}
	if err != nil {
		return ami.RecycleBin{Err: "reading what is in the Recycle Bin: " + err.Error()}
	}
	return bin
}

// ReadImages returns only which images are in the bin of the clients' region.
func ReadImages(ctx context.Context, contents ContentsAPI) ami.RecycleBin {
	images, err := listImages(ctx, contents)
	if err != nil {
		return ami.RecycleBin{Err: "reading what is in the Recycle Bin: " + err.Error()}
	}
	return ami.RecycleBin{Read: true, Images: images}
}

// readRules returns the rules for one type of resource, by their ids. ListRules returns neither
// their tags nor whether they are in force.
func readRules(ctx context.Context, api RulesAPI, kind types.ResourceType) ([]ami.BinRule, error) {
	ids, err := listRules(ctx, api, kind)
	if err != nil {
		return nil, err
	}
	slices.Sort(ids)
	var rules []ami.BinRule
	for _, id := range ids {
		rule, err := api.GetRule(ctx, &rbin.GetRuleInput{Identifier: &id})
		if _, isGone := errors.AsType[*types.ResourceNotFoundException](err); isGone {
			continue // It was deleted since it was listed.
		}
		if err != nil {
			return nil, fmt.Errorf("rule %s: %w", id, inCall("GetRule", err))
		}
		if err := check(rule, id, kind); err != nil {
			return nil, fmt.Errorf("GetRule: rule %s: %w", id, err)
		}
		if rule.Status == types.RuleStatusAvailable {
			rules = append(rules, ami.BinRule{
				ID: id, Images: kind == types.ResourceTypeEc2Image, Days: int(*rule.RetentionPeriod.RetentionPeriodValue),
				Tags: tags(rule.ResourceTags), Excluded: tags(rule.ExcludeResourceTags),
			})
		}
	}
	return rules, nil
}

func listRules(ctx context.Context, api RulesAPI, kind types.ResourceType) ([]string, error) {
	var ids []string
	pages := rbin.NewListRulesPaginator(api, &rbin.ListRulesInput{ResourceType: kind, MaxResults: aws.Int32(pageSize)})
	err := wire.EachPage(ctx, pages, func(page *rbin.ListRulesOutput) *string {
		for _, rule := range page.Rules {
			ids = append(ids, aws.ToString(rule.Identifier))
		}
		return page.NextToken
	})
	return ids, inCall("ListRules", err)
}

// longest is the longest retention period of a rule in days (Recycle Bin API Reference,
// RetentionPeriod).
const longest = 365

// check returns an error if a rule is not the requested one, or has no valid retention period.
func check(rule *rbin.GetRuleOutput, id string, kind types.ResourceType) error {
	period := rule.RetentionPeriod
	switch {
	case aws.ToString(rule.Identifier) != id || rule.ResourceType != kind:
		return fmt.Errorf("it is rule %s for %s, and not for %s", aws.ToString(rule.Identifier), rule.ResourceType, kind)
	case rule.Status == "":
		return errors.New("it does not say whether it is in force")
	case period == nil || period.RetentionPeriodUnit != types.RetentionPeriodUnitDays:
		return errors.New("it does not say for how many days it holds")
	case aws.ToInt32(period.RetentionPeriodValue) < 1 || aws.ToInt32(period.RetentionPeriodValue) > longest:
		return fmt.Errorf("it holds for %d days", aws.ToInt32(period.RetentionPeriodValue))
	}
	return nil
}

// tags returns the tags of a rule. A missing value is empty.
func tags(all []types.ResourceTag) []ami.Tag {
	var named []ami.Tag
	for _, tag := range all {
		named = append(named, ami.Tag{Key: aws.ToString(tag.ResourceTagKey), Value: aws.ToString(tag.ResourceTagValue)})
	}
	return named
}

// inCall adds the action to an error; nil stays nil.
func inCall(action string, err error) error {
	if err == nil {
		return nil
	}
	return callError{action, err}
}

// callError is an error of AWS with its action.
type callError struct {
	action string
	err    error
}

func (e callError) Error() string {
	says := wire.ExplainLookup(e.err)
	if strings.Contains(says, e.action) {
		return says
	}
	return e.action + ": " + says
}
func (e callError) Unwrap() error { return e.err }

// Exits returns when those of the given images and snapshots that are in the bin leave it, by id.
// An id without an entry is not in the bin, or not seen there yet.
func Exits(ctx context.Context, contents ContentsAPI, images, snapshots []string) (map[string]time.Time, error) {
	kinds := []struct {
		ids   []string
		list  func(context.Context, ContentsAPI, ...string) (map[string]time.Time, error)
		found map[string]time.Time
		err   error
	}{{ids: images, list: listImages}, {ids: snapshots, list: listSnapshots}}
	var lookups sync.WaitGroup
	for i := range kinds {
		lookups.Go(func() { kinds[i].found, kinds[i].err = find(ctx, contents, kinds[i].ids, kinds[i].list) })
	}
	lookups.Wait()
	exits := map[string]time.Time{}
	for _, kind := range kinds {
		if kind.err != nil {
			return nil, kind.err
		}
		for _, id := range kind.ids {
			if exit, isThere := kind.found[id]; isThere {
				exits[id] = exit
			}
		}
	}
	return exits, nil
}

// idsPerCall is how many ids ListImagesInRecycleBin accepts. For snapshots no limit is documented.
const idsPerCall = 20

// find asks for a few ids, or reads the entire bin to find many. EC2's answer to an id that is not
// in the bin is not documented: if it is an error, a single id is not there, and a missing one of
// several must not hide the others.
func find(ctx context.Context, contents ContentsAPI, ids []string, list func(context.Context, ContentsAPI, ...string) (map[string]time.Time, error)) (
	map[string]time.Time, error,
) {
	if len(ids) == 0 {
		return nil, nil
	}
	if len(ids) > idsPerCall {
		return list(ctx, contents)
	}
	found, err := list(ctx, contents, ids...)
	switch isNotFound := strings.HasSuffix(wire.Code(err), ".NotFound"); {
	case isNotFound && len(ids) == 1:
		return nil, nil
	case isNotFound:
		return list(ctx, contents)
	}
	return found, err
}
