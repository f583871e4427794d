package emulator

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// The files of an account directory, each named after the AWS CLI's command that prints it. The launch permissions
// are this project's own: a map from image id to what DescribeImageAttribute lists as LaunchPermissions, null where
// it could not be read.
const (
	identityFile          = "get-caller-identity.json"
	imagesFile            = "describe-images.json"
	snapshotsFile         = "describe-snapshots.json"
	instancesFile         = "describe-instances.json"
	templatesFile         = "describe-launch-templates.json"
	templateVersionsFile  = "describe-launch-template-versions.json"
	groupsFile            = "describe-auto-scaling-groups.json"
	configurationsFile    = "describe-launch-configurations.json"
	spotFleetsFile        = "describe-spot-fleet-requests.json"
	spotRequestsFile      = "describe-spot-instance-requests.json"
	parametersFile        = "describe-parameters.json"
	parameterValuesFile   = "get-parameters.json"
	lockedSnapshotsFile   = "describe-locked-snapshots.json"
	launchPermissionsFile = "describe-launch-permissions.json"
)

// format says how one file is laid out.
type format struct {
	file   string
	list   string  // The top-level key of its list of objects; empty if the file is a single object.
	fields []field // Those of the objects that the file lists.
}

var formats = []format{
	{file: identityFile},
	{file: imagesFile, list: "Images", fields: imageFields},
	{file: snapshotsFile, list: "Snapshots", fields: snapshotFields},
	{file: instancesFile, list: "Reservations", fields: reservationFields},
	{file: templatesFile, list: "LaunchTemplates", fields: templateFields},
	{file: templateVersionsFile, list: "LaunchTemplateVersions", fields: versionFields},
	{file: groupsFile, list: "AutoScalingGroups"},
	{file: configurationsFile, list: "LaunchConfigurations"},
	{file: spotFleetsFile, list: "SpotFleetRequestConfigs"},
	{file: spotRequestsFile, list: "SpotInstanceRequests"},
	{file: parametersFile, list: "Parameters", fields: parameterFields},
	{file: parameterValuesFile, list: "Parameters", fields: parameterFields},
	{file: lockedSnapshotsFile, list: "Snapshots", fields: lockFields},
	{file: launchPermissionsFile, fields: permissionFields},
}

// kind is what the value of a field has to be, in the words of an error.
type kind string

const (
	aString    kind = "a string"
	aBoolean   kind = "true or false"
	anInteger  kind = "an integer"
	aTimestamp kind = "a string or a number"
	anObject   kind = "an object"
	aList      kind = "a list of objects"
)

// field is a field that this package or its clients understand. What it holds in an account directory must be of
// its kind, or null: what nobody can read could be the very thing that protects an image.
type field struct {
	name   string
	kind   kind
	fields []field // Those of the object, or of the objects in the list.
}

// all are fields of the same kind.
func all(k kind, names ...string) []field {
	fields := make([]field, len(names))
	for i, name := range names {
		fields[i] = field{name: name, kind: k}
	}
	return fields
}

// The fields that are understood, for each kind of object in the files. Fields that are not here may hold anything.
var (
	imageFields = slices.Concat(
		all(aTimestamp, "CreationDate", "DeprecationTime", "LastLaunchedTime"),
		all(aString, "Architecture", "BootMode", "DeregistrationProtection", "Description",
			"Hypervisor", "ImageId", "ImageLocation", "ImageOwnerAlias", "ImageType", "ImdsSupport", "Name",
			"OwnerId", "Platform", "RootDeviceName", "RootDeviceType", "SourceImageId", "SourceImageRegion", "SourceInstanceId",
			"SriovNetSupport", "State", "TpmSupport", "VirtualizationType"),
		all(aBoolean, "EnaSupport", "ImageAllowed", "Public"),
		[]field{
			{"BlockDeviceMappings", aList, append(all(aString, "DeviceName"), field{"Ebs", anObject, ebsFields})},
			{"ProductCodes", aList, all(aString, "ProductCodeId", "ProductCodeType")},
			{"StateReason", anObject, all(aString, "Code")},
			tagsField,
		})
	ebsFields      = slices.Concat(all(aString, "SnapshotId", "VolumeType"), all(anInteger, "VolumeSize"), all(aBoolean, "Encrypted"))
	snapshotFields = slices.Concat(
		all(aString, "Description", "OwnerAlias", "OwnerId", "Progress", "SnapshotId", "State", "StorageTier", "TransferType", "VolumeId"),
		all(anInteger, "VolumeSize"), all(aBoolean, "Encrypted"), all(aTimestamp, "CompletionTime", "RestoreExpiryTime", "StartTime"),
		[]field{tagsField})
	lockFields        = all(aString, "LockState", "SnapshotId")
	reservationFields = []field{{"Instances", aList, instanceFields}}
	instanceFields    = slices.Concat(
		all(aString, "ImageId", "InstanceId", "InstanceType", "SubnetId", "VpcId"),
		[]field{{"State", anObject, append(all(aString, "Name"), field{"Code", anInteger, nil})}, operatorField, tagsField})
	templateFields = slices.Concat(
		all(aString, "LaunchTemplateId", "LaunchTemplateName"), all(aTimestamp, "CreateTime"), []field{operatorField, tagsField})
	versionFields = slices.Concat(
		all(aString, "LaunchTemplateId", "LaunchTemplateName"), all(anInteger, "VersionNumber"), all(aBoolean, "DefaultVersion"),
		all(aTimestamp, "CreateTime"),
		[]field{{"LaunchTemplateData", anObject, all(aString, "ImageId", "InstanceType")}, operatorField})
	parameterFields  = all(aString, "DataType", "Name", "Value")
	permissionFields = all(aString, "Group", "OrganizationArn", "OrganizationalUnitArn", "UserId")
	operatorField    = field{"Operator", anObject, all(aBoolean, "Managed")}
	tagsField        = field{"Tags", aList, all(aString, "Key", "Value")}
)

// fault says what is wrong with a value of the field, and where in it: ` must be a string`, `[2].Key must be a
// string`. It is empty if nothing is. A null counts as absent.
func (f field) fault(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case object:
		if f.kind == anObject {
			return f.objectFault(v)
		}
	case []any:
		if f.kind == aList {
			return f.listFault(v)
		}
	default:
		if f.kind.holds(v) {
			return ""
		}
	}
	return " must be " + string(f.kind)
}

func (f field) objectFault(o object) string {
	for _, inner := range f.fields {
		if fault := inner.fault(o[inner.name]); fault != "" {
			return "." + inner.name + fault
		}
	}
	return ""
}

// listFault looks at every entry. Unlike a field, an entry cannot be absent: null is none.
func (f field) listFault(list []any) string {
	for i, value := range list {
		if fault := f.entryFault(value); fault != "" {
			return fmt.Sprintf("[%d]%s", i, fault)
		}
	}
	return ""
}

func (f field) entryFault(value any) string {
	entry := field{kind: anObject, fields: f.fields}
	if value == nil {
		return " must be " + string(entry.kind)
	}
	return entry.fault(value)
}

// holds reports whether a scalar is of the kind.
func (k kind) holds(scalar any) bool {
	switch v := scalar.(type) {
	case string:
		return k == aString || k == aTimestamp
	case bool:
		return k == aBoolean
	case json.Number:
		_, err := v.Int64()
		return k == aTimestamp || k == anInteger && err == nil
	default:
		return false
	}
}

// object is a JSON object as it was read, with numbers as json.Number, so that fields nobody here knows survive.
type object = map[string]any

// document is the content of one file: its list of objects, and whatever else stands beside it.
type document struct {
	items  []object
	fields object
}

// parse reads one file. It is strict about the layout, which the AWS CLI gives, and about the fields that are
// understood; it takes everything else as it is.
func parse(f format, data []byte) (*document, error) {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
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
	p := &parser{format: f, data: data, decoder: json.NewDecoder(bytes.NewReader(data))}
	p.decoder.UseNumber()
	return p.document()
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
		d.items, err = p.items()
		return err
	}
	at, value, err := p.value()
	if err != nil {
		return err
	}
	if key == "NextToken" {
		if value == nil || value == "" {
			return nil // The listing is complete. What Save writes is too, and needs no token to say so.
		}
		return placed(p.format.file, p.data, at, "is only a part of the listing: it has a NextToken")
	}
	if p.format.file == launchPermissionsFile {
		if fault := (field{kind: aList, fields: p.format.fields}).fault(value); fault != "" {
			return placed(p.format.file, p.data, at, strconv.Quote(key)+fault)
		}
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

func (p *parser) items() ([]object, error) {
	list := field{name: p.format.list, kind: aList, fields: p.format.fields}
	if err := p.open('[', strconv.Quote(list.name)+" must be a list"); err != nil {
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
		items = append(items, value.(object))
	}
	if _, err := p.decoder.Token(); err != nil {
		return nil, fmt.Errorf("%s: %w", p.format.file, err)
	}
	return items, nil
}

// format writes the document as the AWS CLI prints it.
func (d *document) format(f format) ([]byte, error) {
	whole := object{}
	maps.Copy(whole, d.fields)
	if f.list != "" {
		whole[f.list] = append([]object{}, d.items...)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "    ")
	err := e.Encode(whole)
	return b.Bytes(), err
}

// text returns a field as text: a string as it is, a number and a truth value as JSON spells them, all else as "".
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

// child returns an object field; nil, which reads as an empty object, if it is none.
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

// values returns every scalar at a path such as "BlockDeviceMappings.Ebs.SnapshotId". Lists on the way fan out.
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
