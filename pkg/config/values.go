package config

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/arn"

	"github.com/ami-janitor/ami-janitor/pkg/journal"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
	"github.com/ami-janitor/ami-janitor/pkg/usage"
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

// policyName goes into a tag, behind the id of a run.
type policyName string

// policyNames are those that a stack of CloudFormation can have, and a few more (AWS CloudFormation
// API Reference, CreateStack).
var policyNames = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$`)

func (p *policyName) UnmarshalText(text []byte) error {
	if !policyNames.Match(text) {
		return fmt.Errorf("%q is not a name of up to 128 letters, digits, hyphens, dots and underscores", text)
	}
	*p = policyName(text)
	return nil
}

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

// binDays is for how many days the Recycle Bin has to hold something.
type binDays int

// maxBinDays is for how long a rule can retain images and snapshots (Recycle Bin API Reference,
// RetentionPeriod).
const maxBinDays = 365

func (b *binDays) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(string(text), 10, 31)
	if err != nil || n > maxBinDays {
		return fmt.Errorf("%q is not a number of days from 0 to %d", text, maxBinDays)
	}
	*b = binDays(n)
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

// sources are names of sources of evidence. Only those that are off by default stand beside all.
type sources []string

func (s *sources) UnmarshalText(text []byte) error {
	names, known := retention.List(string(text)), usage.Sources()
	if len(names) == 0 {
		return errors.New("names no source: nothing could be proven, so nothing would be removed")
	}
	var defaults []string
	if names[0] == everything {
		names, defaults = names[1:], usage.DefaultSources()
		known = slices.DeleteFunc(known, func(name string) bool { return slices.Contains(defaults, name) })
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return fmt.Errorf("%q is no source: there are %s", name, strings.Join(known, ", "))
		}
	}
	*s = append(defaults, names...)
	return nil
}

func (s sources) String() string { return strings.Join(s, ",") }

// versions is how many of the newest versions of a launch template count as use; 0 is all of them.
type versions int

// maxVersions is the most that a launch template can have (EC2 API Reference,
// DescribeImageReferences: version-depth).
const maxVersions = 10000

func (v *versions) UnmarshalText(text []byte) error {
	if string(text) == everything {
		*v = 0
		return nil
	}
	n, err := strconv.ParseUint(string(text), 10, 31)
	if err != nil || n < 1 || n > maxVersions {
		return fmt.Errorf("%q is neither all nor a number from 1 to %d", text, maxVersions)
	}
	*v = versions(n)
	return nil
}

func (v versions) String() string {
	if v == 0 {
		return everything
	}
	return strconv.Itoa(int(v))
}

// sharedImages says whether public and shared images are judged, and by what.
type sharedImages retention.Policy

// byCensus is the word for the judgement by censuses of an organization.
const byCensus = "organization"

func (s *sharedImages) UnmarshalText(text []byte) error {
	s.JudgeByCensus = string(text) == byCensus
	if s.JudgeByCensus {
		s.JudgeShared = true
		return nil
	}
	return (*choice)(&s.JudgeShared).choose(text, "keep", "report")
}

func (s sharedImages) String() string {
	if s.JudgeByCensus {
		return byCensus
	}
	return choice(s.JudgeShared).word("keep", "report")
}

// judged says whether images of some kind are judged.
type judged bool

func (j *judged) UnmarshalText(text []byte) error { return (*choice)(j).choose(text, "keep", "judge") }

func (j judged) String() string { return choice(j).word("keep", "judge") }

// choice is one of two words, false for the first of them.
type choice bool

func (c *choice) choose(text []byte, no, yes string) error {
	if *c = string(text) == yes; !bool(*c) && string(text) != no {
		return fmt.Errorf("%q is neither %s nor %s", text, no, yes)
	}
	return nil
}

func (c choice) word(no, yes string) string {
	if c {
		return yes
	}
	return no
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

// Regions are names of regions, or the word "all" for those that the account has enabled. Without
// either it is the region of the AWS configuration.
type Regions struct {
	Names []string
	All   bool
}

// UnmarshalText takes names of regions, or "all".
func (r *Regions) UnmarshalText(text []byte) error {
	if r.All = string(text) == everything; r.All {
		return nil
	}
	return (*regions)(&r.Names).UnmarshalText(text)
}

func (r Regions) String() string {
	if r.All {
		return everything
	}
	return regions(r.Names).String()
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

// NotifyOn says when a digest is sent. The digest of a run that failed, or that lacked a proof,
// always is, and so is that of the first.
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

// share is a part of EC2's request rates.
type share float64

func (s *share) UnmarshalText(text []byte) error {
	part, err := strconv.ParseFloat(string(text), 64)
	if err != nil || math.IsNaN(part) || part <= 0 || part > 1 {
		return fmt.Errorf("%q is not a number above 0 and up to 1", text)
	}
	*s = share(part)
	return nil
}

// records are the place of the journal: an s3:// URL, or a directory.
type records string

func (r *records) UnmarshalText(text []byte) error {
	*r = records(text)
	return journal.Check(string(text))
}

// text is taken as it is.
type text string

func (t *text) UnmarshalText(given []byte) error {
	*t = text(given)
	return nil
}
