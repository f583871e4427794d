package janitor

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/arn"

	"ami-janitor/pkg/retention"
	"ami-janitor/pkg/usage"
)

// limit is an idle time, not shorter than the floor.
type limit retention.Days

func (l *limit) UnmarshalText(text []byte) error {
	days, err := retention.ParseDays(string(text))
	if err == nil && days < retention.Floor {
		err = fmt.Errorf("%s is below the floor of %s", days, retention.Floor)
	}
	*l = limit(days)
	return err
}

func (l limit) String() string { return retention.Days(l).String() }

// count is a number that is not negative.
type count int

func (c *count) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(string(text), 10, 31)
	if err != nil {
		return fmt.Errorf("%q is not a number from 0 on", text)
	}
	*c = count(n)
	return nil
}

// flag is true or false, and no other word.
type flag bool

func (f *flag) UnmarshalText(text []byte) error {
	switch strings.ToLower(string(text)) {
	case "true":
		*f = true
	case "false":
		*f = false
	default:
		return fmt.Errorf("%q is neither true nor false", text)
	}
	return nil
}

// price is an amount of US dollars, for a GB-month.
type price float64

// maxPrice is what nobody pays; more is a mistake.
const maxPrice = 1000

func (p *price) UnmarshalText(text []byte) error {
	amount, err := strconv.ParseFloat(string(text), 64)
	if err != nil || math.IsNaN(amount) || amount < 0 || amount > maxPrice {
		return fmt.Errorf("%q is not an amount of US dollars such as 0.05", text)
	}
	*p = price(amount)
	return nil
}

// everything is the word for all sources, or all regions.
const everything = "all"

// sources are names of sources of evidence.
type sources []string

func (s *sources) UnmarshalText(text []byte) error {
	names := retention.List(string(text))
	if slices.Equal(names, []string{everything}) {
		names = usage.Sources()
	}
	if len(names) == 0 {
		return errors.New("names no source: nothing could be proven, so nothing would be removed")
	}
	for _, name := range names {
		if !slices.Contains(usage.Sources(), name) {
			return fmt.Errorf("%q is no source: there are %s", name, strings.Join(usage.Sources(), ", "))
		}
	}
	*s = names
	return nil
}

func (s sources) String() string { return strings.Join(s, ",") }

// off returns the sources that are switched off.
func (s sources) off() []string {
	return slices.DeleteFunc(usage.Sources(), func(name string) bool { return slices.Contains(s, name) })
}

// regions are names of AWS regions.
type regions []string

var regionName = regexp.MustCompile(`^[a-z]{2,}(-[a-z]+)+-[0-9]+$`)

func (r *regions) UnmarshalText(text []byte) error {
	*r = retention.List(string(text))
	for _, name := range *r {
		if !regionName.MatchString(name) {
			return fmt.Errorf("%q is not a region such as eu-west-1", name)
		}
	}
	return nil
}

func (r regions) String() string { return strings.Join(r, ",") }

// regionsOrAll are regions, or the word "all" for those that the account has enabled.
type regionsOrAll struct {
	regions
	all bool
}

func (r *regionsOrAll) UnmarshalText(text []byte) error {
	if r.all = string(text) == everything; r.all {
		return nil
	}
	return r.regions.UnmarshalText(text)
}

func (r regionsOrAll) String() string {
	if r.all {
		return everything
	}
	return r.regions.String()
}

// topicARN is the ARN of an SNS topic.
type topicARN string

func (t *topicARN) UnmarshalText(text []byte) error {
	topic, err := arn.Parse(string(text))
	if err != nil || topic.Service != "sns" || topic.Region == "" || topic.Resource == "" {
		return fmt.Errorf("%q is not the ARN of an SNS topic", text)
	}
	*t = topicARN(text)
	return nil
}

// NotifyOn says when a digest is sent. A run that failed is always told of.
type NotifyOn string

// The occasions for a digest.
const (
	NotifyAlways   NotifyOn = "always"
	NotifyChanges  NotifyOn = "changes" // A plan with something to do counts, dry or not.
	NotifyFailures NotifyOn = "failures"
)

// UnmarshalText refuses anything but the three occasions.
func (n *NotifyOn) UnmarshalText(text []byte) error {
	*n = NotifyOn(text)
	switch *n {
	case NotifyAlways, NotifyChanges, NotifyFailures:
		return nil
	default:
		return fmt.Errorf("%q is none of always, changes, failures", text)
	}
}
