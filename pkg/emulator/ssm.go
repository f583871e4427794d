package emulator

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// ssmActions are the emulated actions of AWS Systems Manager.
var ssmActions = map[string]action{
	"DescribeParameters": {describeParameters, []string{"MaxResults", "NextToken", "ParameterFilters"}},
	"GetParameter":       {getParameter, []string{"Name", "WithDecryption"}},
	"GetParameters":      {getParameters, []string{"Names", "WithDecryption"}},
	"PutParameter":       {putParameter, []string{"Description", "Name", "Overwrite", "Type", "Value"}},
}

// AWS's limits on requests for parameters (AWS Systems Manager API Reference).
const (
	maxParameterNames        = 10
	maxParameterFilterValues = 50
)

// parameterPages is how DescribeParameters pages. AWS does not document how long a page is if no
// size is given.
var parameterPages = paging{least: 1, most: 50, usual: 10}

// describeParameters lists the parameters without their values.
func describeParameters(c *call) (object, error) {
	parameters, err := c.filterParameters(c.parameters())
	if err != nil {
		return nil, err
	}
	parameters, token, err := page(c, parameters, parameterPages)
	return listing("Parameters", parameters, token), err
}

// parameters are those that are described, and those of the account's own for which its directory
// has nothing but a value.
func (c *call) parameters() []object {
	values, described := map[string]object{}, map[string]bool{}
	for _, entry := range c.region.items(parameterValuesFile) {
		values[text(entry, "Name")] = entry
	}
	var all []object
	for _, parameter := range c.region.items(parametersFile) {
		name := text(parameter, "Name")
		described[name] = true
		all = append(all, c.completed(parameter, values[name]))
	}
	for _, entry := range c.region.items(parameterValuesFile) {
		name := text(entry, "Name")
		if !described[name] && c.isOwnParameter(entry) {
			described[name] = true
			all = append(all, c.completed(entry, nil))
		}
	}
	for _, parameter := range all {
		for _, key := range []string{"Selector", "SourceResult", "Value"} {
			delete(parameter, key)
		}
	}
	return all
}

// filterParameters keeps the parameters that match every filter of the request, in which the key is
// the name of a field (AWS Systems Manager API Reference, ParameterStringFilter).
func (c *call) filterParameters(parameters []object) ([]object, error) {
	for _, f := range members(c.Form, "ParameterFilters") {
		key, option, wanted := f.Get("Key"), cmp.Or(f.Get("Option"), "Equals"), list(f, "Values")
		compare := comparisons[option]
		switch {
		case key != "Name" && key != "Type" && key != "DataType":
			return nil, refuse("InvalidFilterKey", "The filter key '%s' is not emulated", key)
		case compare == nil || option == "Contains" && key != "Name":
			return nil, refuse("InvalidFilterOption", "The filter option '%s' is not valid for the key '%s'", option, key)
		case len(wanted) == 0 || len(wanted) > maxParameterFilterValues:
			return nil, refuse("InvalidFilterValue", "A filter takes between 1 and %d values", maxParameterFilterValues)
		}
		parameters = slices.DeleteFunc(parameters, func(o object) bool {
			return !slices.ContainsFunc(wanted, func(value string) bool { return compare(text(o, key), value) })
		})
	}
	return parameters, nil
}

// comparisons are what the options of a filter mean.
var comparisons = map[string]func(have, wanted string) bool{
	"BeginsWith": strings.HasPrefix,
	"Contains":   strings.Contains,
	"Equals":     func(have, wanted string) bool { return have == wanted },
}

// getParameters shows parameters with their values in alphabetical order (AWS Systems Manager API
// Reference, GetParameters), whatever the order of the request, and names those that are not there.
// One without a value in the account directory is shown without one.
func getParameters(c *call) (object, error) {
	names := c.list("Names")
	if len(names) == 0 || len(names) > maxParameterNames {
		return nil, c.invalid("1 validation error detected: Value at 'names' failed to satisfy constraint: "+
			"Member must have length between 1 and %d", maxParameterNames)
	}
	found, missing := []object{}, []any{}
	for _, asked := range names {
		name, selector := splitSelector(strings.TrimSpace(asked))
		if strings.Contains(name, " ") {
			return nil, c.invalid("Parameter name: '%s' contains a space", name)
		}
		entry, described := c.parameter(name, selector), c.described(name)
		if value, ok := entry["Value"]; ok && value == nil {
			return nil, c.service.forbidden() // One that may not be read fails the whole call.
		}
		switch {
		case entry != nil:
			found = append(found, c.shown(entry, selector))
		case described != nil:
			found = append(found, c.shown(described, selector))
		default:
			missing = append(missing, asked)
		}
	}
	slices.SortStableFunc(found, func(a, b object) int { return strings.Compare(text(a, "Name"), text(b, "Name")) })
	return object{"Parameters": found, "InvalidParameters": missing}, nil
}

// getParameter shows one parameter with its value.
func getParameter(c *call) (object, error) {
	name := c.text("Name")
	c.Form.Set("Names.1", name)
	answer, err := getParameters(c)
	if err != nil {
		return nil, err
	}
	found := answer["Parameters"].([]object)
	if len(found) == 0 {
		return nil, refuse("ParameterNotFound", "The parameter %s is not there", name)
	}
	return object{"Parameter": found[0]}, nil
}

// shown is an entry as it is shown to who asked for it by a selector, if by any.
func (c *call) shown(entry object, selector string) object {
	shown := c.completed(entry, c.region.find(parametersFile, "Name", text(entry, "Name")))
	delete(shown, "Selector")
	if selector != "" {
		shown["Selector"] = ":" + selector
	}
	if text(shown, "Type") == "SecureString" && !c.flag("WithDecryption") {
		sum := sha256.Sum256([]byte(text(shown, "Value")))
		// Nobody can read it, as a ciphertext of KMS.
		shown["Value"] = base64.StdEncoding.EncodeToString(sum[:])
	}
	return shown
}

// splitSelector splits what a parameter is asked for by: its name or its ARN, and the version or
// the label that may follow after a colon (AWS Systems Manager API Reference, GetParameters).
func splitSelector(asked string) (name, selector string) {
	const resource = ":parameter/"
	at := 0
	if i := strings.Index(asked, resource); i >= 0 && strings.HasPrefix(asked, "arn:") {
		at = i + len(resource)
	}
	name, selector, _ = strings.Cut(asked[at:], ":")
	return asked[:at] + name, selector
}

// parameter finds the value that a parameter has in a version or under a label, or its current
// value if there is no selector. It is nil if the account directory does not have it.
func (c *call) parameter(name, selector string) object {
	for _, entry := range c.region.items(parameterValuesFile) {
		if (text(entry, "Name") == name || c.parameterARN(entry) == name) && isSelected(entry, selector) {
			return entry
		}
	}
	return nil
}

// maxParameterValue is how long the value of a standard parameter may be.
const maxParameterValue = 4096

// putParameter makes a parameter, or gives it another value.
func putParameter(c *call) (object, error) {
	name, kind, value := c.text("Name"), c.text("Type"), c.text("Value")
	before := c.parameter(name, "")
	if before == nil {
		before = c.described(name)
	}
	switch {
	case name == "" || strings.Contains(name, ":"):
		return nil, c.invalid("Parameter name: '%s' is not valid", name)
	case len(value) == 0 || len(value) > maxParameterValue:
		return nil, c.invalid("Standard tier parameters support a maximum parameter value of %d characters.", maxParameterValue)
	case before != nil && c.text("Overwrite") != "true":
		return nil, refuse("ParameterAlreadyExists", "The parameter already exists. To overwrite this value, set the overwrite option in the request to true.")
	case before == nil && kind == "":
		return nil, c.invalid("A parameter type is required when you create a parameter.")
	}
	version, _ := strconv.Atoi(text(before, "Version"))
	version++
	put := object{
		"Name": name, "Type": cmp.Or(kind, text(before, "Type")), "Value": value, "DataType": "text", "Version": json.Number(strconv.Itoa(version)),
		"LastModifiedDate": c.account.now().UTC().Format(timestampLayout),
	}
	c.region.documents[parametersFile].removeWith("Name", name)
	isCurrent := func(o object) bool { return text(o, "Name") == name && text(o, "Selector") == "" }
	c.region.documents[parameterValuesFile].removeIf(isCurrent)
	c.region.documents[parameterValuesFile].add(put)
	return object{"Version": put["Version"], "Tier": "Standard"}, nil
}

// described finds a parameter that is described, and has no value in the account directory.
// It is there, so that SSM would show one; nobody knows which.
func (c *call) described(name string) object {
	for _, parameter := range c.region.items(parametersFile) {
		if text(parameter, "Name") == name || c.parameterARN(parameter) == name {
			if c.region.find(parameterValuesFile, "Name", text(parameter, "Name")) == nil {
				return parameter
			}
		}
	}
	return nil
}

// isSelected reports whether a selector means an entry of its parameter. The AWS CLI prints the
// selector by which the entry was asked for, with its colon; without one the entry was the current
// one.
func isSelected(entry object, selector string) bool {
	label := strings.TrimPrefix(text(entry, "Selector"), ":")
	return selector == label || selector != "" && selector == text(entry, "Version")
}

// completed is a copy of a parameter with what every parameter has: a type, a data type and an ARN.
// What one file does not say, its entry in the other may.
func (c *call) completed(parameter, other object) object {
	shown := maps.Clone(parameter)
	shown["Type"] = cmp.Or(text(parameter, "Type"), text(other, "Type"), "String")
	shown["DataType"] = cmp.Or(text(parameter, "DataType"), text(other, "DataType"), "text")
	shown["ARN"] = c.parameterARN(parameter)
	return shown
}

// parameterName is what can be the name of a parameter (AWS Systems Manager API Reference,
// PutParameter).
var parameterName = regexp.MustCompile(`^[A-Za-z0-9_./-]+$`)

// isOwnParameter reports whether an entry with a value is of a parameter of this account and
// region. One of AWS's, or one that another account shares, is there only for who asks for it by
// name (AWS Systems Manager User Guide, "Working with shared parameters in Parameter Store"); so is
// what has a name that no parameter can have.
func (c *call) isOwnParameter(entry object) bool {
	return parameterName.MatchString(text(entry, "Name")) && strings.HasPrefix(c.parameterARN(entry), c.arn("ssm", ""))
}

func (c *call) parameterARN(parameter object) string {
	return cmp.Or(text(parameter, "ARN"), c.arn("ssm", "parameter/"+strings.TrimPrefix(text(parameter, "Name"), "/")))
}
