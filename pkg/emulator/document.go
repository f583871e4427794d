package emulator

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The files of an account directory, each named after the AWS CLI's command that prints it. The
// launch permissions are this project's own: a map from image id to what DescribeImageAttribute
// lists as LaunchPermissions, null where it could not be read. So are, in the same way, the
// CreateVolumePermissions of snapshots, which DescribeSnapshotAttribute lists, and the entries of
// usage reports that have no ReportId: the use that other accounts really make of an image, for the
// reports to find.
//
// What is in the Recycle Bin is listed as the AWS CLI prints it, and beside that each entry has the
// whole of what a restore brings back: as Image or Snapshot, in the form of describe-images.json
// and describe-snapshots.json. Its permissions stay in their own file. The rules are as GetRule
// prints them: ListRules has neither their type nor their tags nor their status. A rule that is
// pending has, as AvailableTime, when it is going to be in force; without one it stays pending.
//
// The files of other services are named after service and command. Where a command answers for one
// thing at a time, the file is a JSON array of its answers. The CLI shows a cluster of EMR with its
// instance groups or fleets; the template of a stack has the StackName beside it. The references to
// images are derived from the other files. Their own file has those from which nothing else tells:
// of recipes of Image Builder that nobody has listed, and of resources that whoever exported the
// account was not allowed to list. A parameter whose value is null is one that may not be read.
const (
	identityFile              = "get-caller-identity.json"
	aliasesFile               = "iam-list-account-aliases.json"
	imagesFile                = "describe-images.json"
	snapshotsFile             = "describe-snapshots.json"
	instancesFile             = "describe-instances.json"
	templatesFile             = "describe-launch-templates.json"
	templateVersionsFile      = "describe-launch-template-versions.json"
	groupsFile                = "describe-auto-scaling-groups.json"
	configurationsFile        = "describe-launch-configurations.json"
	spotFleetsFile            = "describe-spot-fleet-requests.json"
	spotRequestsFile          = "describe-spot-instance-requests.json"
	fleetsFile                = "describe-fleets.json"
	fastLaunchFile            = "describe-fast-launch-images.json"
	fastRestoresFile          = "describe-fast-snapshot-restores.json"
	refreshesFile             = "describe-instance-refreshes.json"
	exportTasksFile           = "describe-export-image-tasks.json"
	storeTasksFile            = "describe-store-image-tasks.json"
	replacementsFile          = "describe-replace-root-volume-tasks.json"
	parametersFile            = "describe-parameters.json"
	parameterValuesFile       = "get-parameters.json"
	lockedSnapshotsFile       = "describe-locked-snapshots.json"
	launchPermissionsFile     = "describe-launch-permissions.json"
	usageReportsFile          = "describe-image-usage-reports.json"
	usageEntriesFile          = "describe-image-usage-report-entries.json"
	volumePermissionsFile     = "describe-create-volume-permissions.json"
	imageBinFile              = "list-images-in-recycle-bin.json"
	snapshotBinFile           = "list-snapshots-in-recycle-bin.json"
	rulesFile                 = "list-rules.json"
	environmentsFile          = "batch-describe-compute-environments.json"
	pcsClustersFile           = "pcs-list-clusters.json"
	nodeGroupsFile            = "pcs-get-compute-node-group.json"
	engineVersionsFile        = "rds-describe-db-engine-versions.json"
	emrClustersFile           = "emr-list-clusters.json"
	emrClusterFile            = "emr-describe-cluster.json"
	hyperPodClustersFile      = "sagemaker-list-clusters.json"
	hyperPodClusterFile       = "sagemaker-describe-cluster.json"
	imageRecipesFile          = "imagebuilder-list-image-recipes.json"
	containerRecipesFile      = "imagebuilder-list-container-recipes.json"
	applicationsFile          = "elasticbeanstalk-describe-applications.json"
	beanstalkEnvironmentsFile = "elasticbeanstalk-describe-environments.json"
	settingsFile              = "elasticbeanstalk-describe-configuration-settings.json"
	platformsFile             = "elasticbeanstalk-list-platform-versions.json"
	platformFile              = "elasticbeanstalk-describe-platform-version.json"
	stacksFile                = "cloudformation-describe-stacks.json"
	templatesOfStacksFile     = "cloudformation-get-template.json"
	stackResourcesFile        = "cloudformation-describe-stack-resource.json"
	functionsFile             = "lambda-get-function-configuration.json"
	referencesFile            = "describe-image-references.json"
	authorizationFile         = "iam-get-account-authorization-details.json"
	resourcesOfStacksFile     = "cloudformation-describe-stack-resources.json"
	schedulesFile             = "scheduler-get-schedule.json"
	subscriptionsFile         = "sns-list-subscriptions-by-topic.json"
	alarmsFile                = "cloudwatch-describe-alarms.json"
	bucketEncryptionFile      = "s3api-get-bucket-encryption.json"
	publicAccessBlockFile     = "s3api-get-public-access-block.json"
)

// authorizationList is the list of the roles in authorizationFile; users, groups and policies stand
// beside it.
const authorizationList = "RoleDetailList"

// format says how one file is laid out.
type format struct {
	file string
	// The top-level key of its list of objects; empty if the file is a single object.
	list   string
	fields []field // Those of the objects that the file lists.
	beside []field // Those beside the list.
	array  bool    // The file itself is a list of objects.

	needs string   // The field without which an entry says nothing; empty if there is none.
	ids   []string // Where an entry has ids by which others find it.
}

var formats = []format{
	{file: identityFile},
	{file: aliasesFile},
	{file: imagesFile, list: "Images", fields: imageFields, ids: []string{"ImageId", "SourceImageId", "BlockDeviceMappings.Ebs.SnapshotId"}},
	{file: snapshotsFile, list: "Snapshots", fields: snapshotFields, ids: []string{"SnapshotId"}},
	{file: instancesFile, list: "Reservations", fields: reservationFields, needs: "Instances"},
	{file: templatesFile, list: "LaunchTemplates", fields: templateFields},
	{file: templateVersionsFile, list: "LaunchTemplateVersions", fields: versionFields, ids: []string{"LaunchTemplateData.BlockDeviceMappings.Ebs.SnapshotId"}},
	{file: groupsFile, list: "AutoScalingGroups", fields: groupFields},
	{file: configurationsFile, list: "LaunchConfigurations", fields: configurationFields, ids: []string{"BlockDeviceMappings.Ebs.SnapshotId"}},
	{file: spotFleetsFile, list: "SpotFleetRequestConfigs", fields: spotFleetFields, ids: []string{"SpotFleetRequestConfig.LaunchSpecifications.BlockDeviceMappings.Ebs.SnapshotId"}},
	{file: spotRequestsFile, list: "SpotInstanceRequests", fields: spotRequestFields, ids: []string{"LaunchSpecification.BlockDeviceMappings.Ebs.SnapshotId"}},
	{file: fleetsFile, list: "Fleets", fields: fleetFields},
	{file: fastLaunchFile, list: "FastLaunchImages", fields: fastLaunchFields},
	{file: fastRestoresFile, list: "FastSnapshotRestores", fields: fastRestoreFields, ids: []string{"SnapshotId"}},
	{file: refreshesFile, list: "InstanceRefreshes", fields: refreshFields},
	{file: exportTasksFile, list: "ExportImageTasks", fields: exportTaskFields},
	{file: storeTasksFile, list: "StoreImageTaskResults", fields: storeTaskFields},
	{file: replacementsFile, list: "ReplaceRootVolumeTasks", fields: replacementFields, ids: []string{"SnapshotId"}},
	{file: parametersFile, list: "Parameters", fields: parameterFields},
	{file: parameterValuesFile, list: "Parameters", fields: parameterFields},
	{file: lockedSnapshotsFile, list: "Snapshots", fields: lockFields, ids: []string{"SnapshotId"}},
	{file: launchPermissionsFile, fields: permissionFields},
	{file: usageReportsFile, list: "ImageUsageReports", fields: usageReportFields},
	{file: usageEntriesFile, list: "ImageUsageReportEntries", fields: usageEntryFields, ids: []string{"ImageId"}},
	{file: volumePermissionsFile, fields: permissionFields},
	{file: imageBinFile, list: "Images", fields: imageBinFields},
	{file: snapshotBinFile, list: "Snapshots", fields: snapshotBinFields},
	{file: rulesFile, list: "Rules", fields: ruleFields},
	{file: environmentsFile, list: "computeEnvironments", fields: environmentFields},
	{file: pcsClustersFile, list: "clusters", fields: all(aString, "arn", "id", "name", "status")},
	{file: nodeGroupsFile, array: true, fields: nodeGroupFields},
	{file: engineVersionsFile, list: "DBEngineVersions", fields: engineVersionFields},
	{file: emrClustersFile, list: "Clusters", fields: emrClusterFields},
	{file: emrClusterFile, array: true, fields: emrClusterDetails},
	{file: hyperPodClustersFile, list: "ClusterSummaries", fields: all(aString, "ClusterArn", "ClusterName", "ClusterStatus")},
	{file: hyperPodClusterFile, array: true, fields: hyperPodFields},
	{file: imageRecipesFile, list: "imageRecipeSummaryList", fields: recipeFields},
	{file: containerRecipesFile, list: "containerRecipeSummaryList", fields: recipeFields},
	{file: applicationsFile, list: "Applications", fields: applicationFields},
	{file: beanstalkEnvironmentsFile, list: "Environments", fields: beanstalkEnvironmentFields},
	{file: settingsFile, array: true, fields: settingsFields},
	{file: platformsFile, list: "PlatformSummaryList", fields: all(aString, "PlatformArn", "PlatformOwner", "PlatformStatus")},
	{file: platformFile, array: true, fields: platformFields},
	{file: stacksFile, list: "Stacks", fields: stackFields},
	{file: templatesOfStacksFile, array: true, fields: all(aString, "StackName")},
	{file: stackResourcesFile, array: true, fields: stackResourceFields},
	{file: functionsFile, array: true, fields: functionFields},
	{file: referencesFile, list: "ImageReferences", fields: referenceFields},
	{file: authorizationFile, list: authorizationList, fields: all(aString, "Arn", "RoleName")},
	{file: resourcesOfStacksFile, list: "StackResources", fields: resourceFields},
	{file: schedulesFile, array: true, fields: all(aString, "Arn", "GroupName", "Name", "State")},
	{file: subscriptionsFile, list: "Subscriptions", fields: all(aString, "Endpoint", "Owner", "Protocol", "SubscriptionArn", "TopicArn")},
	{file: alarmsFile, list: "MetricAlarms", fields: append(all(aString, "AlarmArn", "AlarmName", "StateValue"), field{"AlarmActions", aStringList, nil}, field{"ActionsEnabled", aBoolean, nil})},
	{file: bucketEncryptionFile, array: true, fields: all(aString, "Bucket")},
	{file: publicAccessBlockFile, array: true, fields: all(aString, "Bucket")},
}

// noEvidence are the files that never keep an image or a snapshot: where one is missing there is
// nothing to judge, or nothing to bring back. unused are those that most accounts have nothing for:
// where one is missing, the service or the feature is not used.
var (
	noEvidence = []string{
		identityFile, aliasesFile, imagesFile, usageReportsFile, imageBinFile, snapshotBinFile, rulesFile, functionsFile, stackResourcesFile,
		authorizationFile, resourcesOfStacksFile, schedulesFile, subscriptionsFile, alarmsFile, bucketEncryptionFile, publicAccessBlockFile,
	}
	unused = []string{
		refreshesFile, exportTasksFile, storeTasksFile, replacementsFile, stacksFile, environmentsFile, pcsClustersFile, nodeGroupsFile,
		engineVersionsFile, emrClustersFile, emrClusterFile, hyperPodClustersFile, hyperPodClusterFile,
		imageRecipesFile, containerRecipesFile, templatesOfStacksFile,
		applicationsFile, beanstalkEnvironmentsFile, settingsFile, platformsFile, platformFile,
	}
)

// object is a JSON object as it was read, with numbers as json.Number, so that fields nobody here
// knows survive.
type object = map[string]any

// document is the content of one file: its list of objects, and whatever else stands beside it.
type document struct {
	items  []object
	fields object
	// The line of the first character of replacement, which stands where another one was lost; 0 if
	// there is none.
	damaged int
	indexes *indexes // Of the items; nil until one is needed, or if they were changed past it.
}

// parse reads one file. It is strict about the layout, which the AWS CLI gives, and about the
// fields that are understood; it takes everything else as it is.
func parse(f format, data []byte) (*document, error) {
	data, err := decoded(f.file, data)
	if err != nil {
		return nil, err
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, fmt.Errorf("%s:1:1: the file is empty", f.file)
	}
	// The whole is checked first: the decoder below would not see what follows the object.
	if err := json.Unmarshal(data, new(json.RawMessage)); err != nil {
		if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
			return nil, placed(f.file, data, int(syntax.Offset)-1, err.Error())
		}
		return nil, fmt.Errorf("%s: %w", f.file, err)
	}
	if at, key := repeated(data); key != "" {
		return nil, placed(f.file, data, at, strconv.Quote(key)+" is there twice in one object; which of them counts, nobody can tell")
	}
	p := &parser{format: f, data: data, decoder: json.NewDecoder(bytes.NewReader(data))}
	p.decoder.UseNumber()
	d, err := p.document()
	if at := bytes.IndexRune(data, utf8.RuneError); err == nil && at >= 0 {
		d.damaged = 1 + bytes.Count(data[:at], []byte("\n"))
	}
	return d, err
}

// placed is an error at a byte of a file, given as line:column.
func placed(file string, data []byte, offset int, message string) error {
	before := data[:min(max(offset, 0), len(data))]
	line := 1 + bytes.Count(before, []byte("\n"))
	column := len(before) - bytes.LastIndexByte(before, '\n')
	return fmt.Errorf("%s:%d:%d: %s", file, line, column, message)
}

// parser walks valid JSON and knows where it is.
type parser struct {
	format  format
	data    []byte
	decoder *json.Decoder
}

// next is the offset of the value that is read next.
func (p *parser) next() int {
	offset := int(p.decoder.InputOffset())
	rest := p.data[offset:]
	return offset + len(rest) - len(bytes.TrimLeft(rest, " \t\r\n,:"))
}

// open reads the delimiter that begins an object or a list.
func (p *parser) open(delimiter json.Delim, message string) error {
	at := p.next()
	token, err := p.decoder.Token()
	if err != nil {
		return fmt.Errorf("%s: %w", p.format.file, err)
	}
	if token != delimiter {
		return placed(p.format.file, p.data, at, message)
	}
	return nil
}

func (p *parser) document() (*document, error) {
	start := p.next()
	if p.format.array {
		items, err := p.items("")
		return &document{items: items, fields: object{}}, err
	}
	if err := p.open('{', "must be a JSON object, as the AWS CLI prints it"); err != nil {
		return nil, err
	}
	d := &document{fields: object{}}
	for p.decoder.More() {
		key, err := p.decoder.Token()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.format.file, err)
		}
		if err := p.field(d, key.(string)); err != nil {
			return nil, err
		}
	}
	if p.format.list != "" && d.items == nil {
		return nil, placed(p.format.file, p.data, start, "has no "+strconv.Quote(p.format.list)+", the list that the AWS CLI prints")
	}
	return d, nil
}

func (p *parser) field(d *document, key string) (err error) {
	if key == p.format.list && key != "" {
		d.items, err = p.items(p.format.list)
		return err
	}
	at, value, err := p.value()
	if err != nil {
		return err
	}
	if fault := p.format.keyFault(key, value); fault != "" {
		return placed(p.format.file, p.data, at, fault)
	}
	if key == nextToken {
		if value == nil || value == "" {
			// The listing is complete. What Save writes is too, and needs no token to say so.
			return nil
		}
		return placed(p.format.file, p.data, at, "is only a part of the listing: it has a NextToken")
	}
	d.fields[key] = value
	return nil
}

// value reads the next value, and says at which byte it begins.
func (p *parser) value() (at int, value any, err error) {
	at = p.next()
	if err := p.decoder.Decode(&value); err != nil {
		return at, nil, fmt.Errorf("%s: %w", p.format.file, err)
	}
	return at, value, nil
}

// items reads the list of a name, which is empty where the file itself is the list.
func (p *parser) items(name string) ([]object, error) {
	list, what := field{name: name, kind: aList, fields: p.format.fields}, strconv.Quote(name)+" must be a list"
	if name == "" {
		what = "must be a JSON array of the AWS CLI's answers"
	}
	if err := p.open('[', what); err != nil {
		return nil, err
	}
	items := []object{}
	for p.decoder.More() {
		at, value, err := p.value()
		if err != nil {
			return nil, err
		}
		if fault := list.entryFault(value); fault != "" {
			return nil, placed(p.format.file, p.data, at, fmt.Sprintf("%s[%d]%s", list.name, len(items), fault))
		}
		item := value.(object)
		if fault := p.format.fault(item); fault != "" {
			return nil, placed(p.format.file, p.data, at, fmt.Sprintf("%s[%d]%s", list.name, len(items), fault))
		}
		items = append(items, item)
	}
	if _, err := p.decoder.Token(); err != nil {
		return nil, fmt.Errorf("%s: %w", p.format.file, err)
	}
	return items, nil
}

// nextToken is the field of a listing that was cut.
const nextToken = "NextToken"

// keyFault says what is wrong with a field beside the list; empty if nothing is.
func (f format) keyFault(key string, value any) string {
	beside := field{fields: f.beside}
	if _, meant := miscased(object{key: nil}, append(beside.names(), f.list, nextToken)); meant != "" {
		return wrongCase(key, meant)
	}
	if fault := beside.objectFault(object{key: value}); fault != "" {
		return strconv.Quote(key) + strings.TrimPrefix(fault, "."+key)
	}
	if key == nextToken || f.list != "" || f.fields == nil {
		return ""
	}
	if fault := (field{kind: aList, fields: f.fields}).fault(value); fault != "" {
		return strconv.Quote(key) + fault
	}
	if !isWrittenAsID(key) {
		return strconv.Quote(key) + notWrittenAsID
	}
	return ""
}

// fault says what is wrong with an entry of the list as a whole; empty if nothing is.
func (f format) fault(item object) string {
	if f.needs != "" && item[f.needs] == nil {
		return " has no " + strconv.Quote(f.needs)
	}
	for _, path := range f.ids {
		for _, id := range values(item, path) {
			if !isWrittenAsID(id) {
				return fmt.Sprintf(".%s %q", path, id) + notWrittenAsID
			}
		}
	}
	return ""
}

// notWrittenAsID is what is wrong with an id by which nobody would find what has it.
const notWrittenAsID = " is no id as AWS writes it: in lower case, and without spaces"

func isWrittenAsID(id string) bool {
	return id == strings.ToLower(strings.Join(strings.Fields(id), ""))
}

// format writes the document as the AWS CLI prints it.
func (d *document) format(f format) ([]byte, error) {
	whole := object{}
	maps.Copy(whole, d.fields)
	if f.list != "" {
		whole[f.list] = append([]object{}, d.items...)
	}
	var content any = whole
	if f.array {
		content = append([]object{}, d.items...)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "    ")
	err := e.Encode(content)
	return b.Bytes(), err
}

// text returns a field as text: a string as it is, a number and a truth value as JSON spells them,
// all else as "".
func text(o object, key string) string {
	s, _ := scalar(o[key])
	return s
}

func scalar(value any) (string, bool) {
	switch v := value.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case bool:
		return strconv.FormatBool(v), true
	default:
		return "", false
	}
}

// objects returns the objects in a list field; anything else in it is left out.
func objects(o object, key string) []object {
	list, _ := o[key].([]any)
	found := make([]object, 0, len(list))
	for _, value := range list {
		if item, ok := value.(object); ok {
			found = append(found, item)
		}
	}
	return found
}

// child returns an object field; nil, which reads as an empty object, if there is none.
func child(o object, key string) object {
	c, _ := o[key].(object)
	return c
}

// first returns the first object whose key has the given value, or nil.
func first(list []object, key, value string) object {
	for _, o := range list {
		if text(o, key) == value {
			return o
		}
	}
	return nil
}

// values returns every scalar at a path such as "BlockDeviceMappings.Ebs.SnapshotId". Lists on the
// way fan out.
func values(value any, path string) []string {
	if list, ok := value.([]any); ok {
		var found []string
		for _, item := range list {
			found = append(found, values(item, path)...)
		}
		return found
	}
	if path == "" {
		if s, ok := scalar(value); ok {
			return []string{s}
		}
		return nil
	}
	o, _ := value.(object)
	key, rest, _ := strings.Cut(path, ".")
	return values(o[key], rest)
}
