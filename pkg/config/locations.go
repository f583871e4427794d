package config

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/arn"

	"github.com/ami-janitor/ami-janitor/pkg/retention"
	"github.com/ami-janitor/ami-janitor/pkg/usage"
)

// KeepLists say where the keep list is: all that is at these locations.
type KeepLists []Location

// UnmarshalText takes locations with commas between them. It refuses a text without any: whoever
// set it meant one.
func (l *KeepLists) UnmarshalText(text []byte) error {
	var locations []Location
	for _, name := range retention.List(string(text)) {
		location := Location(name)
		if err := location.check(); err != nil {
			return err
		}
		locations = append(locations, location)
	}
	if len(locations) == 0 {
		return fmt.Errorf("%q names no list", text)
	}
	*l = locations
	return nil
}

func (l KeepLists) String() string {
	names := make([]string, len(l))
	for i, location := range l {
		names[i] = string(location)
	}
	return strings.Join(names, ",")
}

// Location is where a keep list is: "ssm:NAME", the ARN of an SSM parameter, "s3://BUCKET/KEY", or
// the path of a file; or where several are: "s3://BUCKET/PREFIX/".
type Location string

// parameterName is what SSM allows in the name of a parameter (Systems Manager API Reference,
// PutParameter), or the ARN of one.
var parameterName = regexp.MustCompile(`^(/?[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*|arn:[a-z-]+:ssm:[a-z0-9-]+:[0-9]{12}:parameter/[A-Za-z0-9_./-]+)$`)

// check refuses what cannot be a parameter or an object but looks like one.
func (l Location) check() error {
	if name, region, ok := l.Parameter(); ok {
		if !parameterName.MatchString(name) || region != "" && !regionName.MatchString(region) {
			return fmt.Errorf("%q is neither ssm:NAME nor the ARN of an SSM parameter", string(l))
		}
		return nil
	}
	_, key, ok := l.Object()
	switch {
	case ok && strings.ContainsAny(key, "*?"):
		return fmt.Errorf("%q: a keep list has no wildcards in its location; s3://bucket/prefix/ is everything below it", string(l))
	case ok:
		_, err := usage.ParseTextObjects(string(l))
		return err
	case strings.Contains(string(l), "://") || strings.HasPrefix(strings.ToLower(string(l)), "s3:"):
		return fmt.Errorf("%q is no s3:// URL such as s3://bucket/keep.txt", string(l))
	case strings.ContainsRune(string(l), 0):
		return errors.New("a path has no zero bytes")
	}
	return nil
}

// Parameter returns the name, or the ARN, of the SSM parameter that holds the list, and its region,
// empty for the region of the function. It reports false for other locations.
func (l Location) Parameter() (name, region string, ok bool) {
	if name, ok = strings.CutPrefix(string(l), "ssm:"); ok {
		return name, "", true
	}
	if !strings.HasPrefix(string(l), "arn:") {
		return "", "", false
	}
	parsed, err := arn.Parse(string(l))
	if err != nil || parsed.Service != "ssm" {
		return "", "", true
	}
	return string(l), parsed.Region, true
}

// Object returns the bucket and the key of the object that holds the list. A key that is empty or
// ends in a slash is the prefix of several lists. It reports false for other locations.
func (l Location) Object() (bucket, key string, ok bool) {
	rest, ok := strings.CutPrefix(string(l), "s3://")
	bucket, key, _ = strings.Cut(rest, "/")
	return bucket, key, ok
}

// isFile reports whether a location is the path of a file.
func (l Location) isFile() bool {
	_, _, isParameter := l.Parameter()
	_, _, isObject := l.Object()
	return !isParameter && !isObject
}

// maxAge is how old something may be; zero for any age.
type maxAge retention.Days

func (m *maxAge) UnmarshalText(text []byte) error {
	days, err := retention.ParseDays(string(text))
	if err == nil && days <= 0 {
		err = fmt.Errorf("%s is no age that a list can have", days)
	}
	*m = maxAge(days)
	return err
}

func (m maxAge) String() string {
	if m == 0 {
		return ""
	}
	return retention.Days(m).String()
}

// textObjects are objects of S3 that may name images.
type textObjects []usage.TextObjects

func (o *textObjects) UnmarshalText(text []byte) error {
	var all []usage.TextObjects
	for _, location := range retention.List(string(text)) {
		objects, err := usage.ParseTextObjects(location)
		if err != nil {
			return err
		}
		all = append(all, objects)
	}
	if len(all) == 0 {
		return fmt.Errorf("%q names no objects", text)
	}
	*o = all
	return nil
}

func (o textObjects) String() string {
	names := make([]string, len(o))
	for i, objects := range o {
		names[i] = objects.String()
	}
	return strings.Join(names, ",")
}
