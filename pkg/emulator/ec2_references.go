package emulator

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// The bounds of DescribeImageReferences (EC2 API Reference).
const (
	maxReferredImages   = 10
	defaultVersionDepth = 10
	maxVersionDepth     = 10000
)

// referrers finds what refers to an image, by the type of the resource.
var referrers = map[string]func(*call, lookup) []string{
	"ec2:Instance":                 (*call).instancesOf,
	"ec2:LaunchTemplate":           (*call).templatesOf,
	"ssm:Parameter":                (*call).parametersOf,
	"imagebuilder:ImageRecipe":     (*call).imageRecipesOf,
	"imagebuilder:ContainerRecipe": (*call).containerRecipesOf,
}

// lookup is what to look for in the resources of one type.
type lookup struct {
	imageID string
	states  []string // Of instances; all if there are none.
	depth   int      // How many versions of a launch template.
}

// describeImageReferences derives the references to images from the instances, launch templates and
// parameters.
func describeImageReferences(c *call) (object, error) {
	ids := c.list("ImageId")
	if len(ids) == 0 || len(ids) > maxReferredImages {
		return nil, refuse("InvalidParameterValue", "Between 1 and %d image IDs can be given, not %d", maxReferredImages, len(ids))
	}
	lookups, err := c.lookups()
	if err != nil {
		return nil, err
	}
	var found []object
	for i, id := range ids {
		if slices.Contains(ids[:i], id) {
			continue
		}
		for _, kind := range slices.Sorted(maps.Keys(lookups)) {
			l := lookups[kind]
			l.imageID = id
			for _, arn := range c.referring(kind, l) {
				found = append(found, object{"ImageId": id, "ResourceType": kind, "Arn": arn})
			}
		}
	}
	found, token, err := page(c, found, paging{least: 5, most: 1000, usual: 1000})
	return listing("ImageReferences", found, token), err
}

// listedBy are the actions without which the files of an account directory cannot tell of resources
// that refer to images.
var listedBy = map[string][]string{
	"ec2:Instance":       {"ec2:DescribeInstances"},
	"ec2:LaunchTemplate": {"ec2:DescribeLaunchTemplates", "ec2:DescribeLaunchTemplateVersions", "ssm:GetParameters"},
	"ssm:Parameter":      {"ssm:DescribeParameters", "ssm:GetParameters"},
}

// referring are the resources of a type that refer to an image, each once: those of the other
// files, and, where there are none to tell, those of the file of the references.
func (c *call) referring(kind string, l lookup) []string {
	var arns []string
	if referrers[kind] != nil {
		arns = referrers[kind](c, l)
	}
	isDenied := func(action string) bool { return c.region.denied[strings.ToLower(action)] }
	if listedBy[kind] != nil && !slices.ContainsFunc(listedBy[kind], isDenied) {
		return arns
	}
	for _, reference := range c.region.entries(referencesFile, "ImageId", l.imageID) {
		if arn := text(reference, "Arn"); text(reference, "ResourceType") == kind && !slices.Contains(arns, arn) {
			arns = append(arns, arn)
		}
	}
	return arns
}

// lookups says how to look in which resources: those of the request, or all of them. Options that
// are given win.
func (c *call) lookups() (map[string]lookup, error) {
	found := map[string]lookup{}
	if c.flag("IncludeAllResourceTypes") {
		for kind := range referrers {
			found[kind] = lookup{depth: defaultVersionDepth}
		}
	}
	for _, m := range members(c.Form, "ResourceType") {
		kind := m.Get("ResourceType")
		if _, ok := referrers[kind]; !ok {
			return nil, refuse("InvalidParameterValue", "The resource type '%s' is invalid", kind)
		}
		l, err := readLookup(m)
		if err != nil {
			return nil, err
		}
		found[kind] = l
	}
	if len(found) == 0 {
		return nil, refuse("MissingParameter", "The request must contain the parameter ResourceTypes or IncludeAllResourceTypes")
	}
	return found, nil
}

func readLookup(form url.Values) (lookup, error) {
	l := lookup{depth: defaultVersionDepth}
	for _, option := range members(form, "ResourceTypeOption") {
		name, chosen := option.Get("OptionName"), list(option, "OptionValue")
		switch name {
		case "state-name":
			l.states = chosen
		case "version-depth":
			var err error
			if l.depth, err = versionDepth(chosen); err != nil {
				return l, err
			}
		default:
			return l, refuse("InvalidParameterValue", "The option '%s' is invalid", name)
		}
	}
	return l, nil
}

// versionDepth is the one value of the option version-depth.
func versionDepth(chosen []string) (int, error) {
	depth, err := strconv.Atoi(strings.Join(chosen, ","))
	if err != nil || depth < 1 || depth > maxVersionDepth {
		return 0, refuse("InvalidParameterValue", "The version-depth must be a number between 1 and %d", maxVersionDepth)
	}
	return depth, nil
}

// instancesOf finds instances, in all states unless the lookup narrows them, terminated ones too.
func (c *call) instancesOf(l lookup) []string {
	var arns []string
	for _, instance := range c.region.instances() {
		state := text(child(instance, "State"), "Name")
		if text(instance, "ImageId") == l.imageID && (len(l.states) == 0 || slices.Contains(l.states, state)) {
			arns = append(arns, c.arn("ec2", "instance/"+text(instance, "InstanceId")))
		}
	}
	return arns
}

// templatesOf finds launch templates, each once, by their newest versions.
func (c *call) templatesOf(l lookup) []string {
	var arns []string
	for _, t := range templates(c.region.items(templateVersionsFile)) {
		newest := t.versions[:min(l.depth, len(t.versions))]
		if slices.ContainsFunc(newest, func(v object) bool { return c.imageOfVersion(v) == l.imageID }) {
			arns = append(arns, c.arn("ec2", "launch-template/"+t.id))
		}
	}
	return arns
}

// parametersOf finds SSM parameters whose current value is an image.
func (c *call) parametersOf(l lookup) []string {
	var arns []string
	for _, entry := range c.region.items(parameterValuesFile) {
		if text(entry, "Value") == l.imageID && isSelected(entry, "") && c.region.holdsImage(entry) {
			arns = append(arns, c.parameterARN(entry))
		}
	}
	return arns
}

// holdsImage reports whether a parameter is of the type whose values EC2 checks to be images.
// Either file may say so.
func (r *region) holdsImage(parameter object) bool {
	const imageType = "aws:ec2:image"
	described := r.find(parametersFile, "Name", text(parameter, "Name"))
	return text(parameter, "DataType") == imageType || text(described, "DataType") == imageType
}

func (c *call) arn(service, resource string) string {
	return fmt.Sprintf("arn:%s:%s:%s:%s:%s", c.account.partition, service, c.region.name, c.account.id, resource)
}
