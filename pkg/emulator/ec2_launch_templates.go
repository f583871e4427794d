package emulator

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// templatePages is how both listings of launch templates page (EC2 API Reference,
// DescribeLaunchTemplates). Left to itself a listing is cut at the longest page.
var templatePages = paging{least: 1, most: 200, usual: 200}

// describeLaunchTemplates lists launch templates.
func describeLaunchTemplates(c *call) (object, error) {
	templates := c.unmanaged(c.region.items(templatesFile))
	templates, err := selected(templates, "LaunchTemplateId", c.list("LaunchTemplateId"), "InvalidLaunchTemplateId.NotFound")
	if err != nil {
		return nil, err
	}
	templates, err = selected(templates, "LaunchTemplateName", c.list("LaunchTemplateName"), "InvalidLaunchTemplateName.NotFoundException")
	if err != nil {
		return nil, err
	}
	templates, err = c.filter(templates, map[string]string{"create-time": "CreateTime", "launch-template-name": "LaunchTemplateName"})
	if err != nil {
		return nil, err
	}
	templates, token, err := page(c, templates, templatePages)
	return listing("LaunchTemplates", templates, token), err
}

// selected keeps the objects whose key has one of the values, if there are any. A value that no
// object has is an error.
func selected(items []object, key string, wanted []string, code string) ([]object, error) {
	if len(wanted) == 0 {
		return items, nil
	}
	for _, value := range wanted {
		if first(items, key, value) == nil {
			return nil, refuse(code, "The specified %s does not exist: %s", key, value)
		}
	}
	return slices.DeleteFunc(slices.Clone(items), func(o object) bool { return !slices.Contains(wanted, text(o, key)) }), nil
}

// versionPaths says where the filters of DescribeLaunchTemplateVersions find their values.
var versionPaths = map[string]string{
	"create-time":        "CreateTime",
	"image-id":           "LaunchTemplateData.ImageId",
	"instance-type":      "LaunchTemplateData.InstanceType",
	"is-default-version": "DefaultVersion",
}

// describeLaunchTemplateVersions lists versions, the newest of each template first: all versions of
// one template, or the latest and the default of every template (EC2 API Reference,
// DescribeLaunchTemplateVersions).
func describeLaunchTemplateVersions(c *call) (object, error) {
	versions, err := c.versions()
	if err != nil {
		return nil, err
	}
	if c.flag("ResolveAlias") {
		for i, version := range versions {
			versions[i] = c.resolved(version)
		}
	}
	versions, err = c.filter(versions, versionPaths)
	if err != nil {
		return nil, err
	}
	versions, token, err := page(c, versions, templatePages)
	return listing("LaunchTemplateVersions", versions, token), err
}

// versions are the versions the request asks for.
func (c *call) versions() ([]object, error) {
	wanted := c.list("LaunchTemplateVersion")
	asked, err := c.askedTemplates(wanted)
	if err != nil {
		return nil, err
	}
	var found []object
	for _, t := range asked {
		chosen, err := c.chosen(t.versions, wanted)
		if err != nil {
			return nil, err
		}
		found = append(found, chosen...)
	}
	return found, nil
}

// askedTemplates are the launch templates whose versions the request asks for: the one it names, or
// all.
func (c *call) askedTemplates(versions []string) ([]template, error) {
	all := templates(c.unmanaged(c.region.items(templateVersionsFile)))
	id, name := c.text("LaunchTemplateId"), c.text("LaunchTemplateName")
	isNumber := func(version string) bool { return version != "$Latest" && version != "$Default" }
	switch {
	case id != "" && name != "":
		return nil, refuse("InvalidParameterCombination", "A launch template's ID and its name cannot be given together")
	case id != "" || name != "":
		i := slices.IndexFunc(all, func(t template) bool { return t.id == id || name != "" && t.name == name })
		if i < 0 {
			return nil, refuse("InvalidLaunchTemplateId.NotFound", "The specified launch template, %s%s, does not exist.", id, name)
		}
		return all[i : i+1], nil
	case len(versions) == 0 || slices.ContainsFunc(versions, isNumber):
		return nil, refuse("MissingParameter", "You must specify a launch template, or no versions but $Latest and $Default")
	}
	return all, nil
}

// chosen keeps the wanted versions of one template, given newest first. All of those that are
// numbers must be there.
func (c *call) chosen(versions []object, wanted []string) ([]object, error) {
	missing := slices.Clone(wanted)
	var found []object
	for i, version := range versions {
		number := versionNumber(version)
		names := []string{strconv.Itoa(number)}
		if i == 0 {
			names = append(names, "$Latest")
		}
		if text(version, "DefaultVersion") == "true" {
			names = append(names, "$Default")
		}
		isNamed := func(w string) bool { return slices.Contains(names, w) }
		missing = slices.DeleteFunc(missing, isNamed)
		if (len(wanted) == 0 || slices.ContainsFunc(wanted, isNamed)) && c.inBounds(number) {
			found = append(found, version)
		}
	}
	for _, version := range missing {
		if !strings.HasPrefix(version, "$") {
			return nil, refuse("InvalidLaunchTemplateId.VersionNotFound", "Could not find launch template version %s", version)
		}
	}
	return found, nil
}

func (c *call) inBounds(version int) bool {
	return version >= c.bound("MinVersion", 0) && version <= c.bound("MaxVersion", math.MaxInt)
}

// bound is a parameter that is a number, or what it is if it is not given.
func (c *call) bound(name string, otherwise int) int {
	if n, err := strconv.Atoi(c.text(name)); err == nil {
		return n
	}
	return otherwise
}

// template is a launch template as its versions tell of it, the newest first.
type template struct {
	id, name string
	versions []object
}

// templates are the launch templates of the versions, in the order of the file.
func templates(versions []object) []template {
	var all []template
	for _, version := range versions {
		id := text(version, "LaunchTemplateId")
		i := slices.IndexFunc(all, func(t template) bool { return t.id == id })
		if i < 0 {
			i = len(all)
			all = append(all, template{id: id, name: text(version, "LaunchTemplateName")})
		}
		all[i].versions = append(all[i].versions, version)
	}
	for _, t := range all {
		slices.SortStableFunc(t.versions, func(a, b object) int { return cmp.Compare(versionNumber(b), versionNumber(a)) })
	}
	return all
}

func versionNumber(version object) int {
	n, err := strconv.Atoi(text(version, "VersionNumber"))
	if err != nil {
		return 0
	}
	return n
}

// imageOfVersion is the id of the image a version of a launch template starts, its parameter
// resolved. Where the account directory does not have the version or the label that is named, the
// parameter's current value stands in.
func (c *call) imageOfVersion(version object) string {
	image := text(child(version, "LaunchTemplateData"), "ImageId")
	asked, ok := strings.CutPrefix(image, "resolve:ssm:")
	if !ok {
		return image
	}
	name, selector := splitSelector(asked)
	for _, s := range []string{selector, ""} {
		if p := c.parameter(name, s); p != nil && c.region.holdsImage(p) {
			return text(p, "Value")
		}
	}
	return image
}

// resolved is a version with the id of its image in place of the parameter's name.
func (c *call) resolved(version object) object {
	shown := maps.Clone(version)
	if data := maps.Clone(child(version, "LaunchTemplateData")); data != nil {
		data["ImageId"] = c.imageOfVersion(version)
		shown["LaunchTemplateData"] = data
	}
	return shown
}
