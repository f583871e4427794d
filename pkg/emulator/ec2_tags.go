package emulator

import (
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// AWS's limits on tags (EC2 API Reference, CreateTags; EC2 User Guide, "Tag your Amazon EC2
// resources").
const (
	maxTagged   = 1000
	maxTags     = 50
	maxTagKey   = 128
	maxTagValue = 256
)

// taggedKind is a kind of resource that has tags.
type taggedKind struct {
	prefix string // Of an id, up to its first hyphen.
	name   string // As DescribeTags has it.
	key    string // Of an id.
	code   string // EC2's error code for an id that is not there.
	all    func(*call) []object
}

// taggedKinds are those that can be tagged, in the order in which DescribeTags lists them. What is
// in the Recycle Bin can be tagged like what is not (Amazon EBS User Guide, "Considerations for
// Recycle Bin").
var taggedKinds = []taggedKind{
	{"ami", "image", "ImageId", "InvalidAMIID.NotFound", func(c *call) []object { return c.withBin(binnedImage) }},
	{"snap", "snapshot", "SnapshotId", "InvalidSnapshot.NotFound", func(c *call) []object { return c.withBin(binnedSnapshot) }},
	{"i", "instance", "InstanceId", "InvalidInstanceID.NotFound", func(c *call) []object { return c.region.instances() }},
	{"amiur", "image-usage-report", "ReportId", "InvalidImageUsageReportId.NotFound", func(c *call) []object { return c.region.items(usageReportsFile) }},
	{"lt", "launch-template", "LaunchTemplateId", "InvalidLaunchTemplateId.NotFound", func(c *call) []object { return c.region.items(templatesFile) }},
}

// withBin are the resources of a kind, those in the Recycle Bin included.
func (c *call) withBin(b binned) []object {
	entries := c.region.items(b.bin)
	if len(entries) == 0 {
		return c.region.items(b.file)
	}
	all := slices.Clone(c.region.items(b.file))
	for _, entry := range entries {
		all = append(all, c.entire(b, entry))
	}
	return all
}

// createTags tags all the resources, or none if one of them is not there.
func createTags(c *call) (object, error) {
	resources, err := c.taggable()
	if err != nil {
		return nil, err
	}
	tags, err := readTags(c.Form)
	if err != nil {
		return nil, err
	}
	if len(tags) == 0 {
		return nil, refuse("MissingParameter", "The request must contain the parameter Tag")
	}
	tagged := make([][]object, len(resources))
	for i, resource := range resources {
		list := objects(resource.object, "Tags")
		for _, tag := range tags {
			list = slices.DeleteFunc(list, func(t object) bool { return text(t, "Key") == text(tag, "Key") })
			list = append(list, tag)
		}
		if userTags(list) > maxTags {
			return nil, refuse("TagLimitExceeded", "The maximum number of Tags for a resource has been reached.")
		}
		tagged[i] = list
	}
	for i, resource := range resources {
		c.noteTags(resource, tags)
		c.retag(resource.id, resource.object["Tags"])
		setTags(resource.object, tagged[i])
	}
	return object{"Return": true}, nil
}

// noteTags notes when a resource was given the tags that it does not have yet.
func (c *call) noteTags(resource taggable, tags []object) {
	had := objects(resource.object, "Tags")
	for _, tag := range tags {
		key := text(tag, "Key")
		if old := first(had, "Key", key); old == nil || text(old, "Value") != text(tag, "Value") {
			c.region.bin.tagged[tagOf(resource.id, key)] = c.account.now()
		}
	}
}

// setTags gives a resource its tags. The AWS CLI prints no list for one that has none.
func setTags(resource object, tags []object) {
	resource["Tags"] = anys(tags)
	if len(tags) == 0 {
		delete(resource, "Tags")
	}
}

// readTags are the tags in a form.
func readTags(form url.Values) ([]object, error) {
	var tags []object
	for _, m := range members(form, "Tag") {
		key, value := m.Get("Key"), m.Get("Value")
		if err := checkTag(key, value); err != nil {
			return nil, err
		}
		tags = append(tags, object{"Key": key, "Value": value})
	}
	return tags, nil
}

func checkTag(key, value string) error {
	switch {
	case isReserved(key):
		return refuse("InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use")
	case key == "" || utf8.RuneCountInString(key) > maxTagKey:
		return refuse("InvalidParameterValue", "Tag key exceeds the maximum length of %d characters, or is empty", maxTagKey)
	case utf8.RuneCountInString(value) > maxTagValue:
		return refuse("InvalidParameterValue", "Tag value exceeds the maximum length of %d characters", maxTagValue)
	}
	return nil
}

// isReserved reports whether a tag key is for AWS to set and to take off.
func isReserved(key string) bool {
	return strings.HasPrefix(strings.ToLower(key), "aws:")
}

// userTags counts the tags that count against the limit.
func userTags(tags []object) int {
	n := 0
	for _, tag := range tags {
		if !isReserved(text(tag, "Key")) {
			n++
		}
	}
	return n
}

// deleteTags takes the tags off: by key, or by key and value where one is given. Without any tag it
// takes off all that users have set (EC2 API Reference, DeleteTags).
func deleteTags(c *call) (object, error) {
	resources, err := c.taggable()
	if err != nil {
		return nil, err
	}
	named := members(c.Form, "Tag")
	if slices.ContainsFunc(named, func(n url.Values) bool { return isReserved(n.Get("Key")) }) {
		return nil, refuse("InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use")
	}
	for _, resource := range resources {
		c.retag(resource.id, resource.object["Tags"])
		setTags(resource.object, slices.DeleteFunc(objects(resource.object, "Tags"), func(t object) bool {
			return isNamed(named, text(t, "Key"), text(t, "Value"))
		}))
	}
	return object{"Return": true}, nil
}

// isNamed reports whether a request that names some tags, or none, wants a tag taken off.
func isNamed(named []url.Values, key, value string) bool {
	if len(named) == 0 {
		return !isReserved(key)
	}
	return slices.ContainsFunc(named, func(n url.Values) bool {
		return n.Get("Key") == key && (!n.Has("Value") || n.Get("Value") == value)
	})
}

// taggable is a resource that a request wants to tag.
type taggable struct {
	id     string
	object object
}

// taggable finds the resources that a request wants to tag, each with all its entries.
func (c *call) taggable() ([]taggable, error) {
	ids := c.list("ResourceId")
	if len(ids) == 0 {
		return nil, refuse("MissingParameter", "The request must contain the parameter resourceIdSet")
	}
	if len(ids) > maxTagged {
		return nil, refuse("InvalidParameterValue", "At most %d resources can be tagged at once", maxTagged)
	}
	found := c.entriesOf(ids)
	var resources []taggable
	for _, id := range ids {
		if len(found[id]) == 0 {
			return nil, refuse(kindOf(id).code, "The ID '%s' does not exist", id)
		}
		for _, o := range found[id] {
			resources = append(resources, taggable{id, o})
		}
	}
	return resources, nil
}

// entriesOf finds the entries of many resources in one pass over those of each kind.
func (c *call) entriesOf(ids []string) map[string][]object {
	wanted, kinds := map[string]bool{}, map[string]taggedKind{}
	for _, id := range ids {
		kind := kindOf(id)
		wanted[id], kinds[kind.prefix] = true, kind
	}
	found := map[string][]object{}
	for _, kind := range kinds {
		for _, o := range kind.all(c) {
			if id := text(o, kind.key); wanted[id] && kindOf(id).prefix == kind.prefix {
				found[id] = append(found[id], o)
			}
		}
	}
	return found
}

// kindOf is the kind of resource that an id is of, by the beginning of the id.
func kindOf(id string) taggedKind {
	prefix, _, _ := strings.Cut(id, "-")
	if i := slices.IndexFunc(taggedKinds, func(k taggedKind) bool { return k.prefix == prefix }); i >= 0 {
		return taggedKinds[i]
	}
	return taggedKind{code: "InvalidID", all: func(*call) []object { return nil }}
}

// tagPages is how DescribeTags pages. How long a page is if no size is given is not documented.
var tagPages = paging{least: 5, most: 1000, usual: 1000}

// describeTags lists the tags of the account's own resources, those in the Recycle Bin included,
// one by one.
func describeTags(c *call) (object, error) {
	tags, err := c.filterBy(c.tags(c.askedFor("resource-id")), findInTag)
	if err != nil {
		return nil, err
	}
	tags, token, err := page(c, tags, tagPages)
	return listing("Tags", tags, token), err
}

// askedFor are the values that a filter of the request asks for, if it asks for nothing but these;
// else nil.
func (c *call) askedFor(filter string) map[string]bool {
	for _, f := range members(c.Form, "Filter") {
		patterns := list(f, "Value")
		if f.Get("Name") != filter || !allLiteral(patterns) {
			continue
		}
		wanted := map[string]bool{}
		for _, pattern := range patterns {
			wanted[pattern] = true
		}
		return wanted
	}
	return nil
}

// tags are the tags of all resources, or of those that are wanted, each once.
func (c *call) tags(wanted map[string]bool) []object {
	var tags []object
	listed := map[string]bool{}
	for _, kind := range taggedKinds {
		for _, o := range kind.all(c) {
			if c.foreign(o) {
				continue
			}
			id := text(o, kind.key)
			if wanted != nil && !wanted[id] {
				continue
			}
			for _, tag := range objects(o, "Tags") {
				key := text(tag, "Key")
				if listed[tagOf(id, key)] {
					continue
				}
				listed[tagOf(id, key)] = true
				tags = append(tags, object{"Key": key, "Value": text(tag, "Value"), "ResourceId": id, "ResourceType": kind.name})
			}
		}
	}
	return tags
}

// findInTag returns the function that finds a tag's values for a filter of DescribeTags. Of a
// resource that has the tag which tag:KEY names, that tag alone is listed.
func findInTag(name string) (func(object) []string, bool) {
	if key, ok := strings.CutPrefix(name, "tag:"); ok {
		return func(tag object) []string {
			if text(tag, "Key") != key {
				return nil
			}
			return []string{text(tag, "Value")}
		}, true
	}
	key, ok := map[string]string{"key": "Key", "resource-id": "ResourceId", "resource-type": "ResourceType", "value": "Value"}[name]
	return func(tag object) []string { return values(tag, key) }, ok
}
