package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ami-janitor/ami-janitor/pkg/retention"
	"github.com/ami-janitor/ami-janitor/pkg/usage"
)

// orphans says what becomes of snapshots whose image is gone.
type orphans retention.Policy

// The words for it.
const (
	ignoreOrphans = "ignore"
	reportOrphans = "report"
	removeOrphans = "remove"
)

func (o *orphans) UnmarshalText(text []byte) error {
	switch word := string(text); word {
	case ignoreOrphans, reportOrphans, removeOrphans:
		o.ReportOrphans, o.RemoveOrphans = word != ignoreOrphans, word == removeOrphans
		return nil
	default:
		return fmt.Errorf("%q is none of %s, %s, %s", text, reportOrphans, ignoreOrphans, removeOrphans)
	}
}

func (o orphans) String() string {
	if o.RemoveOrphans {
		return removeOrphans
	}
	return choice(o.ReportOrphans).word(ignoreOrphans, reportOrphans)
}

// orphanedAfter is how long snapshots must have been seen without their image.
type orphanedAfter retention.Days

func (o *orphanedAfter) UnmarshalText(text []byte) error {
	days, err := retention.ParseDays(string(text))
	if err == nil && days < retention.OrphanFloor {
		err = fmt.Errorf("%s is below the floor of %s", days, retention.OrphanFloor)
	}
	*o = orphanedAfter(days)
	return err
}

func (o orphanedAfter) String() string { return retention.Days(o).String() }

// refusesOrphans says why snapshots whose image is gone cannot be removed with the other settings,
// whose names are in braces; empty if they can, or if nobody wants that.
func (c *Config) refusesOrphans() string {
	switch {
	case !c.Policy.RemoveOrphans:
		return ""
	case c.Organization.Namespace != "": // It always has one.
		return "remove is not for a run over an organization: no cap holds over the snapshots of all accounts"
	case !c.Policy.DeleteSnapshots:
		return "remove contradicts {DELETE_SNAPSHOTS}=false"
	case !c.Policy.RequireRecycleBin:
		return "remove needs {REQUIRE_RECYCLE_BIN}=true, so that a snapshot can be restored"
	case !c.StackTemplates:
		return "remove needs {CLOUDFORMATION_TEMPLATES}=true: a template may name a snapshot"
	case c.TemplateVersions != 0:
		return "remove needs {LAUNCH_TEMPLATE_VERSIONS}=all: any version may name a snapshot"
	}
	missing := slices.DeleteFunc(usage.NamingSnapshots(), func(source string) bool {
		return slices.Contains(c.UsageSources, source)
	})
	if len(missing) > 0 {
		return "remove needs all sources in {USAGE_SOURCES} that may name a snapshot; there is no " + strings.Join(missing, ", ")
	}
	return ""
}
