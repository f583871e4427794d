package bundle

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// manifest is one as ec2-bundle-image writes it, with some names.
func manifest(names ...string) string {
	var parts strings.Builder
	for i, name := range names {
		fmt.Fprintf(&parts, "\n<part index='%d'><filename>%s</filename><digest algorithm='SHA1'>01</digest></part>", i, name)
	}
	return fmt.Sprintf("<?xml version='1.0'?><manifest><version>2007-10-10</version><image><name>image</name><size>1</size>"+
		"<parts count='%d'>%s</parts></image><signature>01</signature></manifest>", len(names), parts.String())
}

func TestManifests(t *testing.T) {
	for name, content := range map[string]string{
		"two digits": manifest("image.part.00", "image.part.01"), "one digit": manifest("image.part.0", "image.part.1"),
		"another order": manifest("image.part.01", "image.part.00"),
	} {
		if names, err := partsOf([]byte(content), "image"); err != nil || len(names) != 2 || slices.Contains(names, "") {
			t.Errorf("%s: %v, %v", name, names, err)
		}
	}
	good := manifest("image.part.00", "image.part.01")
	many := make([]string, mostParts+1)
	for i := range many {
		many[i] = fmt.Sprintf("image.part.%d", i)
	}
	for name, content := range map[string]string{
		"nothing":               "",
		"no XML":                "bucket/image.part.00",
		"another root":          strings.ReplaceAll(good, "manifest", "listing"),
		"no parts":              manifest(),
		"too many parts":        manifest(many...),
		"a path":                manifest("web/image.part.00", "image.part.01"),
		"a parent folder":       manifest("../image.part.00", "image.part.01"),
		"an absolute path":      manifest("/image.part.00", "image.part.01"),
		"another prefix":        manifest("image.part.00", "other.part.01"),
		"a longer prefix":       manifest("image.part.00", "image.part.00.part.01"),
		"another object":        manifest("image.part.00", "image.manifest.xml"),
		"an encoded key":        manifest("image.part.00", "image%2Epart.01"),
		"blanks":                manifest(" image.part.00", "image.part.01"),
		"a line":                manifest("image.part.00\n", "image.part.01"),
		"twice":                 manifest("image.part.00", "image.part.00"),
		"twice with zeros":      manifest("image.part.0", "image.part.00"),
		"a gap":                 manifest("image.part.00", "image.part.02"),
		"another count":         strings.Replace(good, "count='2'", "count='3'", 1),
		"no count":              strings.Replace(good, " count='2'", "", 1),
		"two lists":             strings.Replace(good, "</image>", "<parts count='0'></parts></image>", 1),
		"two images":            strings.Replace(good, "<signature>", "<image><parts count='2'></parts></image><signature>", 1),
		"a part without a name": strings.Replace(good, "<part index='1'>", "<part index='1'></part><part index='2'>", 1),
		"two names":             strings.Replace(good, "<filename>", "<filename>image.part.07</filename><filename>", 1),
		"an unknown element":    strings.Replace(good, "<filename>", "<url>s3://other/x</url><filename>", 1),
		"an element in a name":  strings.Replace(good, "image.part.00", "<b>image.part.00</b>", 1),
		"text between":          strings.Replace(good, "\n<part", "image.part.05<part", 1),
		"a comment":             strings.Replace(good, "image.part.00", "image<!-- x -->.part.00", 1),
		"a document type":       strings.Replace(good, "<manifest>", `<!DOCTYPE manifest [<!ENTITY x "image.part.00">]><manifest>`, 1),
		"an entity":             strings.Replace(good, "image.part.00", "&x;", 1),
		"an instruction":        strings.Replace(good, "<image>", "<?php x ?><image>", 1),
		"a namespace":           strings.Replace(good, "<manifest>", "<manifest xmlns='http://example.com/'>", 1),
		"another encoding":      strings.Replace(good, "<?xml version='1.0'?>", "<?xml version='1.0' encoding='utf-16'?>", 1),
		"too deep":              strings.Replace(good, "<version>", strings.Repeat("<a>", 20)+strings.Repeat("</a>", 20)+"<version>", 1),
		"cut off":               good[:len(good)-20],
		"more than one":         good + good,
		"text after it":         good + "image.part.09",
		"too large":             good + strings.Repeat(" ", mostBytes),
		"parts somewhere else":  strings.NewReplacer("<image>", "<picture>", "</image>", "</picture>").Replace(good),
		"a large number":        manifest("image.part.00", "image.part.99999999999999999999"),
		"a negative number":     manifest("image.part.00", "image.part.-1"),
		"digits of other kinds": manifest("image.part.00", "image.part.١"),
	} {
		if names, err := partsOf([]byte(content), "image"); err == nil {
			t.Errorf("%s: %v", name, names)
		}
	}
}

// Whatever a manifest holds, its parts are those of its own name.
func FuzzManifest(f *testing.F) {
	f.Add(manifest("image.part.00", "image.part.01"))
	f.Fuzz(func(t *testing.T, content string) {
		names, err := partsOf([]byte(content), "image")
		seen := map[string]bool{}
		for _, name := range names {
			if !partNumber.MatchString(strings.TrimPrefix(name, "image")) || !strings.HasPrefix(name, "image.part.") || seen[name] || err != nil {
				t.Errorf("%q, %v", names, err)
			}
			seen[name] = true
		}
	})
}

func TestLocations(t *testing.T) {
	for _, good := range []string{"bucket/image.manifest.xml", "amzn-s3-demo-bucket/a/b_c/image-1.2.manifest.xml"} {
		if bucket, key, prefix, err := parse(good); err != nil || bucket+"/"+key != good || prefix+".manifest.xml" != key {
			t.Errorf("%s: %q, %q, %q, %v", good, bucket, key, prefix, err)
		}
	}
	for _, bad := range []string{
		"", "bucket", "bucket/", "bucket/image", "bucket/image.manifest.xml/", "bucket/.manifest.xml", "bucket/a/.manifest.xml", "/bucket/image.manifest.xml",
		"bucket//image.manifest.xml", "bucket/a/../image.manifest.xml", "bucket/../other/image.manifest.xml", "bucket/./image.manifest.xml",
		"bucket/im%61ge.manifest.xml", "bucket/a b.manifest.xml", "bucket/a+b.manifest.xml", "bucket/a\n.manifest.xml", "Bucket/image.manifest.xml",
		"bucket/*.manifest.xml", "bucket/$(id).manifest.xml", "https://bucket/image.manifest.xml", "bucket/image.manifest", "bucket/é.manifest.xml",
	} {
		if _, _, _, err := parse(bad); err == nil {
			t.Errorf("%q passes", bad)
		}
	}
}
