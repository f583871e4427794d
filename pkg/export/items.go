package export

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"golang.org/x/sync/errgroup"

	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// atOnce is how many calls of one kind run at the same time: as many as half of EC2's rate needs if
// each lasts a second and a half.
const atOnce = 16

// errNothingToAsk is why a part is missing whose items could not be listed because of a missing
// permission.
var errNothingToAsk = errors.New("nothing is known to ask about")

// answers are AWS's answers for items, by their keys.
type answers map[string]answer

// oldest is when the first of them arrived.
func (a answers) oldest() time.Time {
	var oldest time.Time
	for _, answer := range a {
		if oldest.IsZero() || answer.At.Before(oldest) {
			oldest = answer.At
		}
	}
	return oldest
}

// denial returns the denial if all answers are one.
func (a answers) denial() error {
	var found denial
	for _, answer := range a {
		if answer.Action == "" {
			return nil
		}
		found = denial{answer.Action, answer.Refused}
	}
	if found.action == "" {
		return nil
	}
	return found
}

// refusals are the keys of refused items, by AWS's text.
func (a answers) refusals() map[string][]string {
	refused := map[string][]string{}
	for key, answer := range a {
		if answer.Refused != "" {
			refused[answer.Refused] = append(refused[answer.Refused], key)
		}
	}
	return refused
}

// askEach asks about items of a part, one call for each, and notes the answers in its journal as
// they arrive. It does not repeat the noted answers of an earlier start, except for refusals. A
// refused or missing item is an answer; every other error stops it.
func (r *region) askEach(ctx context.Context, file string, keys []string, ask func(ctx context.Context, key string) (any, error)) (answers, error) {
	journal, noted, err := r.directory.openJournal(r.path(file))
	if err != nil {
		return nil, err
	}
	defer journal.close()
	found := answers{}
	r.progress.expect(len(keys))
	var mu sync.Mutex
	calls, ctx := errgroup.WithContext(ctx)
	calls.SetLimit(atOnce)
	for _, key := range keys {
		calls.Go(func() error {
			defer r.progress.step()
			a, isNoted := noted[key]
			if !isNoted || a.Refused != "" {
				if err := ctx.Err(); err != nil {
					return err
				}
				a = answer{Key: key, At: r.clock()}
				value, err := ask(ctx, key)
				if err := a.take(value, err); err != nil {
					return err
				}
				if err := journal.note(a); err != nil {
					return err
				}
			}
			mu.Lock()
			defer mu.Unlock()
			found[key] = a
			return nil
		})
	}
	return found, calls.Wait()
}

// take turns the result of a call into an answer. It returns an error that is no answer.
func (a *answer) take(value any, err error) error {
	denial, isDenied := asDenial(err)
	switch {
	case err == nil:
		a.Value, err = json.Marshal(value)
		return err
	case isDenied:
		a.Action, a.Refused = denial.action, denial.says
		return nil
	case isGone(err) || isInvalid(err):
		a.Refused = wire.ExplainLookup(err)
		return nil
	}
	return err
}

// isInvalid reports whether Systems Manager refused the name of a parameter, which anybody who
// writes a launch template can choose.
func isInvalid(err error) bool { return strings.HasPrefix(wire.Code(err), "Validation") }

// mostNamed is how many items a sentence names.
const mostNamed = 3

// lackItems notes the refused items.
func (r *region) lackItems(file string, refused map[string][]string) {
	for says, keys := range refused {
		slices.Sort(keys)
		named := strings.Join(keys[:min(mostNamed, len(keys))], ", ")
		if more := len(keys) - mostNamed; more > 0 {
			named += fmt.Sprintf(" and %d more", more)
		}
		r.lack(file, named+": "+says)
	}
}

// ids returns the values of a key of the objects in a file of the copy, sorted and without
// duplicates.
func (r *region) ids(file, list, key string, counts func(object) bool) ([]string, error) {
	items, err := r.items(file, list)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, item := range items {
		if id, _ := item[key].(string); id != "" && counts(item) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// items returns the objects in a file of the copy.
func (r *region) items(file, list string) ([]object, error) {
	if r.isAbsent(file) {
		return nil, errNothingToAsk
	}
	if !r.directory.has(r.path(file)) {
		return nil, errors.New("not read, because " + file + " is not there")
	}
	var content map[string]json.RawMessage
	if err := r.directory.read(r.path(file), &content); err != nil {
		return nil, err
	}
	var items []object
	if err := json.Unmarshal(content[list], &items); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return items, nil
}

func (r *region) isAbsent(file string) (is bool) {
	r.note(func() { is = r.absent[file] })
	return is
}

func all(object) bool { return true }

// permissions is a part that says who else may use each image or snapshot in another file: null if
// that is not allowed to be seen, or if the resource is gone.
func permissions(ctx context.Context, r *region, file string, ids []string, ask func(context.Context, string) (any, error)) (any, time.Time, error) {
	found, err := r.askEach(ctx, file, ids, ask)
	if err == nil {
		err = found.denial()
	}
	if err != nil {
		return nil, time.Time{}, err
	}
	content := map[string]json.RawMessage{}
	for id, answer := range found {
		content[id] = answer.Value
	}
	r.lackItems(file, found.refusals())
	return content, found.oldest(), nil
}

func launchPermissions(ctx context.Context, r *region) (any, time.Time, error) {
	ids, err := r.ids(imagesFile, "Images", "ImageId", all)
	if err != nil {
		return nil, time.Time{}, err
	}
	return permissions(ctx, r, "describe-launch-permissions.json", ids, func(ctx context.Context, id string) (any, error) {
		out, err := r.ec2.DescribeImageAttribute(ctx, &ec2.DescribeImageAttributeInput{ImageId: &id, Attribute: types.ImageAttributeNameLaunchPermission})
		if err == nil && aws.ToString(out.ImageId) != id {
			err = fmt.Errorf("EC2 answered for another image than %s", id)
		}
		return member(out, "LaunchPermissions", err)
	})
}

func volumePermissions(ctx context.Context, r *region) (any, time.Time, error) {
	ids, err := r.ids(snapshotsFile, "Snapshots", "SnapshotId", all)
	if err != nil {
		return nil, time.Time{}, err
	}
	return permissions(ctx, r, "describe-create-volume-permissions.json", ids, func(ctx context.Context, id string) (any, error) {
		out, err := r.ec2.DescribeSnapshotAttribute(ctx, &ec2.DescribeSnapshotAttributeInput{SnapshotId: &id, Attribute: types.SnapshotAttributeNameCreateVolumePermission})
		if err == nil && aws.ToString(out.SnapshotId) != id {
			err = fmt.Errorf("EC2 answered for another snapshot than %s", id)
		}
		return member(out, "CreateVolumePermissions", err)
	})
}

// member is a list in an answer; an empty one if AWS did not send it.
func member(out any, name string, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	if items := encode(out).(object)[name]; items != nil {
		return items, nil
	}
	return []any{}, nil
}

// joined concatenates the lists of answers, in the order of the keys.
func joined(found answers, keys []string) ([]json.RawMessage, error) {
	items := []json.RawMessage{}
	for _, key := range keys {
		var some []json.RawMessage
		if value := found[key].Value; value != nil {
			if err := json.Unmarshal(value, &some); err != nil {
				return nil, err
			}
		}
		items = append(items, some...)
	}
	return items, nil
}

// imagesPerCall is the most that DescribeImageReferences takes (EC2 API Reference).
const imagesPerCall = 10

// imageReferences asks EC2 what refers to the images, with the same options as a run: for some
// resources, Image Builder recipes, the copy has no other source.
func imageReferences(ctx context.Context, r *region) (any, time.Time, error) {
	const file, list = "describe-image-references.json", "ImageReferences"
	ids, err := r.ids(imagesFile, "Images", "ImageId", all)
	if err != nil {
		return nil, time.Time{}, err
	}
	var keys []string
	for chunk := range slices.Chunk(ids, imagesPerCall) {
		keys = append(keys, strings.Join(chunk, " "))
	}
	found, err := r.askEach(ctx, file, keys, func(ctx context.Context, key string) (any, error) {
		return r.referencesTo(ctx, strings.Fields(key))
	})
	if err != nil {
		return nil, time.Time{}, err
	}
	for _, answer := range found {
		if answer.Action != "" {
			return nil, time.Time{}, denial{answer.Action, answer.Refused}
		}
	}
	items, err := joined(found, keys)
	return object{list: items}, found.oldest(), err
}

// referencesTo asks about a few images. A missing one has no references, and must not hide those of
// the others.
func (r *region) referencesTo(ctx context.Context, ids []string) ([]any, error) {
	answer, err := list(ctx, "ImageReferences", ec2.NewDescribeImageReferencesPaginator(r.ec2, &ec2.DescribeImageReferencesInput{
		ImageIds:                ids,
		IncludeAllResourceTypes: aws.Bool(true),
		ResourceTypes: []types.ResourceTypeRequest{
			{ResourceType: types.ImageReferenceResourceTypeEc2Instance, ResourceTypeOptions: []types.ResourceTypeOption{{
				OptionName:   types.ImageReferenceOptionNameStateName,
				OptionValues: []string{"pending", "running", "shutting-down", "terminated", "stopping", "stopped"},
			}}},
			{ResourceType: types.ImageReferenceResourceTypeEc2LaunchTemplate, ResourceTypeOptions: []types.ResourceTypeOption{{
				// The maximum.
				OptionName: types.ImageReferenceOptionNameVersionDepth, OptionValues: []string{"10000"},
			}}},
		},
	}))
	switch {
	case err == nil:
		return answer["ImageReferences"].([]any), nil
	case !wire.IsNoImage(err):
		return nil, err
	case len(ids) == 1:
		return nil, nil
	}
	var found []any
	for _, id := range ids {
		some, err := r.referencesTo(ctx, []string{id})
		if err != nil {
			return nil, err
		}
		found = append(found, some...)
	}
	return found, nil
}

const refreshesFile = "describe-instance-refreshes.json"

// instanceRefreshes lists the refreshes of each Auto Scaling group that can have one, as a run
// does.
func instanceRefreshes(ctx context.Context, r *region) (any, time.Time, error) {
	const key = "InstanceRefreshes"
	names, err := r.ids(groupsFile, "AutoScalingGroups", "AutoScalingGroupName", func(group object) bool {
		instances, _ := group["Instances"].([]any)
		desired, isKnown := group["DesiredCapacity"].(float64)
		return len(instances) > 0 || !isKnown || desired > 0
	})
	if err != nil {
		return nil, time.Time{}, err
	}
	found, err := r.askEach(ctx, refreshesFile, names, func(ctx context.Context, name string) (any, error) {
		answer, err := list(ctx, key, autoscaling.NewDescribeInstanceRefreshesPaginator(r.autoScaling, &autoscaling.DescribeInstanceRefreshesInput{
			AutoScalingGroupName: &name, MaxRecords: aws.Int32(autoScalingPage),
		}))
		return answer[key], err
	})
	if err == nil {
		err = found.denial()
	}
	if err != nil {
		return nil, time.Time{}, err
	}
	r.lackItems(refreshesFile, found.refusals())
	items, err := joined(found, names)
	return object{key: items}, found.oldest(), err
}

// newest is the key of the listing of the latest and the default version of every template.
const newest = "$Latest $Default"

// templateVersions lists the versions of all launch templates, as a run does: the latest and the
// default one of every template, and all versions of those templates that have more. EC2 lists all
// versions of one template at a time. If a template is gone, or may not be read, a rehearsal cannot
// tell what it names, like a run.
func templateVersions(ctx context.Context, r *region) (any, time.Time, error) {
	const key = "LaunchTemplateVersions"
	ask := func(ctx context.Context, id string) (any, error) {
		input := ec2.DescribeLaunchTemplateVersionsInput{IncludeManagedResources: aws.Bool(true), ResolveAlias: aws.Bool(false), MaxResults: aws.Int32(dataPage)}
		if id == newest {
			input.Versions = strings.Fields(newest)
		} else {
			input.LaunchTemplateId = &id
		}
		answer, err := list(ctx, key, ec2.NewDescribeLaunchTemplateVersionsPaginator(r.ec2, &input))
		return answer[key], err
	}
	first, err := r.askEach(ctx, versionsFile, []string{newest}, ask)
	if err == nil {
		err = first.denial()
	}
	if err != nil {
		return nil, time.Time{}, err
	}
	seen := map[string]int{}
	if err := count(first[newest].Value, seen); err != nil {
		return nil, time.Time{}, err
	}
	ids, err := r.ids(templatesFile, "LaunchTemplates", "LaunchTemplateId", func(template object) bool {
		id, _ := template["LaunchTemplateId"].(string)
		latest, _ := template["LatestVersionNumber"].(float64)
		return latest == 0 || seen[id] < int(latest)
	})
	if err != nil {
		return nil, time.Time{}, err
	}
	found, err := r.askEach(ctx, versionsFile, ids, ask)
	if err != nil {
		return nil, time.Time{}, err
	}
	r.lackItems(versionsFile, found.refusals())
	found[newest] = first[newest]
	items, err := joined(found, append(ids, newest))
	return object{key: withoutTwins(items, found)}, found.oldest(), err
}

// versionKey identifies a version of a launch template.
type versionKey struct {
	LaunchTemplateID string `json:"LaunchTemplateId"`
	VersionNumber    int
}

// count counts the versions in an answer, by the ids of their templates.
func count(value json.RawMessage, seen map[string]int) error {
	var versions []versionKey
	err := json.Unmarshal(value, &versions)
	for _, version := range versions {
		seen[version.LaunchTemplateID]++
	}
	return err
}

// withoutTwins drops duplicate versions, and those of refused templates: otherwise a rehearsal
// would take the newest of these for all.
func withoutTwins(versions []json.RawMessage, found answers) []json.RawMessage {
	seen := map[versionKey]bool{}
	return slices.DeleteFunc(versions, func(version json.RawMessage) bool {
		var key versionKey
		isTwin := json.Unmarshal(version, &key) == nil && seen[key]
		seen[key] = true
		return isTwin || found[key.LaunchTemplateID].Refused != ""
	})
}

// namesPerCall is how many names GetParameters accepts (AWS Systems Manager API Reference).
const namesPerCall = 10

const valuesFile = "get-parameters.json"

// parameterValues reads the values of all parameters except secrets, and of those that launch
// templates name, under that name. An unreadable one has a null value, and a secret a placeholder.
func parameterValues(ctx context.Context, r *region) (any, time.Time, error) {
	listed, err := r.ids(parametersFile, "Parameters", "Name", func(parameter object) bool {
		return parameter["Type"] == "String" || parameter["Type"] == "StringList"
	})
	if err != nil && !errors.Is(err, errNothingToAsk) {
		return nil, time.Time{}, err
	}
	named, err := r.namedParameters()
	if err != nil {
		return nil, time.Time{}, err
	}
	named = slices.DeleteFunc(named, func(name string) bool { return slices.Contains(listed, name) })
	found, err := r.askForValues(ctx, listed, named)
	if err == nil {
		err = found.denial()
	}
	if err != nil {
		return nil, time.Time{}, err
	}
	content, err := r.parameters(found)
	return content, found.oldest(), err
}

// askForValues asks for some parameters in as few calls as possible, and for others one by one.
// Systems Manager refuses an entire call because of one name, so the names of a refused call are
// requested one by one as well.
func (r *region) askForValues(ctx context.Context, together, alone []string) (answers, error) {
	var keys []string
	for chunk := range slices.Chunk(together, namesPerCall) {
		keys = append(keys, inOneKey(chunk))
	}
	found, err := r.askEach(ctx, valuesFile, keys, r.valuesOf)
	if err != nil {
		return nil, err
	}
	for _, key := range keys {
		if found[key].Refused != "" {
			alone = append(alone, fromOneKey(key)...)
			delete(found, key)
		}
	}
	keys = nil
	for _, name := range alone {
		keys = append(keys, inOneKey([]string{name}))
	}
	rest, err := r.askEach(ctx, valuesFile, keys, r.valuesOf)
	maps.Copy(found, rest)
	return found, err
}

// The key of several names is a JSON list: anybody who writes a launch template can choose the
// characters of a name.
func inOneKey(names []string) string {
	key, _ := json.Marshal(names) // Strings can be encoded.
	return string(key)
}

func fromOneKey(key string) (names []string) {
	_ = json.Unmarshal([]byte(key), &names) // It comes from inOneKey.
	return names
}

// namedParameters returns the parameters that versions of launch templates name instead of an image
// id.
func (r *region) namedParameters() ([]string, error) {
	if r.isAbsent(versionsFile) {
		return nil, nil
	}
	var content struct {
		LaunchTemplateVersions []struct {
			LaunchTemplateData struct {
				ImageID string `json:"ImageId"`
			}
		}
	}
	if !r.directory.has(r.path(versionsFile)) {
		return nil, errors.New("not read, because " + versionsFile + " is not there")
	}
	err := r.directory.read(r.path(versionsFile), &content)
	var names []string
	for _, version := range content.LaunchTemplateVersions {
		if name, ok := strings.CutPrefix(version.LaunchTemplateData.ImageID, "resolve:ssm:"); ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), err
}

// hidden replaces a secret in the copy; it is not even decrypted.
const hidden = "(a SecureString, which is not exported)"

// valuesOf asks for the parameters of a key.
func (r *region) valuesOf(ctx context.Context, key string) (any, error) {
	out, err := r.ssm.GetParameters(ctx, &ssm.GetParametersInput{Names: fromOneKey(key)})
	if err != nil {
		return nil, err
	}
	answer := encode(out).(object)
	parameters, _ := answer["Parameters"].([]any)
	for _, item := range parameters {
		if parameter := item.(object); parameter["Type"] == "SecureString" {
			parameter["Value"] = hidden
		}
	}
	return answer, nil
}

// parameters assembles Systems Manager's answers about parameters.
func (r *region) parameters(found answers) (any, error) {
	content := struct {
		Parameters        []object
		InvalidParameters []string
	}{[]object{}, []string{}}
	seen := map[string]bool{}
	for _, key := range slices.Sorted(maps.Keys(found)) {
		some := content
		some.Parameters, some.InvalidParameters = nil, nil
		if refused := found[key].Refused; refused != "" {
			name := fromOneKey(key)[0]
			some.Parameters = []object{unreadable(name)}
			r.lack(valuesFile, name+": "+refused)
		} else if err := json.Unmarshal(found[key].Value, &some); err != nil {
			return nil, err
		}
		for _, parameter := range some.Parameters {
			if id := fmt.Sprint(parameter["ARN"], parameter["Name"], parameter["Selector"]); !seen[id] {
				seen[id] = true
				content.Parameters = append(content.Parameters, parameter)
			}
		}
		content.InvalidParameters = append(content.InvalidParameters, some.InvalidParameters...)
	}
	return content, nil
}

// unreadable is the entry of an unreadable parameter: the name, and the version or the label of the
// request.
func unreadable(asked string) object {
	entry := object{"Name": asked, "Value": nil}
	// A name has no colon; the part of an ARN before the last slash has some.
	at := strings.LastIndex(asked, "/") + 1
	if name, selector, ok := strings.Cut(asked[at:], ":"); ok && !strings.HasPrefix(asked[at:], "arn:") {
		entry["Name"], entry["Selector"] = asked[:at]+name, ":"+selector
	}
	return entry
}
