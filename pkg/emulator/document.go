package emulator

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
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
	file  string
	list  string // The top-level key of its list of objects; empty if the file is a single object.
	inner string // The key of a further list of objects within each of those; empty if there is none.
}

var formats = []format{
	{file: identityFile},
	{file: imagesFile, list: "Images"},
	{file: snapshotsFile, list: "Snapshots"},
	{file: instancesFile, list: "Reservations", inner: "Instances"},
	{file: templatesFile, list: "LaunchTemplates"},
	{file: templateVersionsFile, list: "LaunchTemplateVersions"},
	{file: groupsFile, list: "AutoScalingGroups"},
	{file: configurationsFile, list: "LaunchConfigurations"},
	{file: spotFleetsFile, list: "SpotFleetRequestConfigs"},
	{file: spotRequestsFile, list: "SpotInstanceRequests"},
	{file: parametersFile, list: "Parameters"},
	{file: parameterValuesFile, list: "Parameters"},
	{file: lockedSnapshotsFile, list: "Snapshots"},
	{file: launchPermissionsFile},
}

// object is a JSON object as it was read, with numbers as json.Number, so that fields nobody here knows survive.
type object = map[string]any

// document is the content of one file: its list of objects, and whatever else stands beside it.
type document struct {
	items  []object
	fields object
}

// parse reads one file. It is strict about the layout, which the AWS CLI gives, and takes everything else as it is.
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
	return d, nil
}

func (p *parser) field(d *document, key string) (err error) {
	if key == p.format.list && key != "" {
		d.items, err = p.items()
		return err
	}
	at := p.next()
	var value any
	if err := p.decoder.Decode(&value); err != nil {
		return fmt.Errorf("%s: %w", p.format.file, err)
	}
	if p.format.file == launchPermissionsFile && value != nil && !isObjects(value) {
		return placed(p.format.file, p.data, at, strconv.Quote(key)+" must be a list of objects, or null")
	}
	d.fields[key] = value
	return nil
}

func (p *parser) items() ([]object, error) {
	list := p.format.list
	if err := p.open('[', strconv.Quote(list)+" must be a list"); err != nil {
		return nil, err
	}
	items := []object{}
	for p.decoder.More() {
		at := p.next()
		var value any
		if err := p.decoder.Decode(&value); err != nil {
			return nil, fmt.Errorf("%s: %w", p.format.file, err)
		}
		item, ok := value.(object)
		if !ok {
			return nil, placed(p.format.file, p.data, at, "an entry of "+strconv.Quote(list)+" must be an object")
		}
		if inner := p.format.inner; inner != "" && item[inner] != nil && !isObjects(item[inner]) {
			return nil, placed(p.format.file, p.data, at, strconv.Quote(inner)+" of this entry must be a list of objects")
		}
		items = append(items, item)
	}
	if _, err := p.decoder.Token(); err != nil {
		return nil, fmt.Errorf("%s: %w", p.format.file, err)
	}
	return items, nil
}

func isObjects(value any) bool {
	list, ok := value.([]any)
	return ok && len(objects(object{"": list}, "")) == len(list)
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
