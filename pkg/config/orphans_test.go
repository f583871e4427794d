package config_test

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/ami-janitor/ami-janitor/pkg/config"
	"github.com/ami-janitor/ami-janitor/pkg/record"
)

// Orphans are removed only where a snapshot can be restored and everything that may name one is
// asked, and not by an organization's run. The refusal has the reader's names of the settings.
func TestWhereOrphansAreNotRemoved(t *testing.T) {
	for name, c := range map[string]struct {
		more       settings
		says       string
		forReaders string
	}{
		"alone":               {nil, "", ""},
		"no snapshot goes":    {settings{"DELETE_SNAPSHOTS": "false"}, "contradicts DELETE_SNAPSHOTS=false", "contradicts --delete-snapshots=false"},
		"no bin":              {settings{"REQUIRE_RECYCLE_BIN": "false"}, "needs REQUIRE_RECYCLE_BIN=true", "needs --require-recycle-bin=true"},
		"no text":             {settings{"USAGE_SOURCES": "references,launch-templates"}, "in USAGE_SOURCES that may name a snapshot; there is no launch-configurations, spot-fleets, spot-requests, ssm-text", "in --usage-sources that"},
		"all but what is off": {settings{"USAGE_SOURCES": "all"}, "", ""},
		"no templates":        {settings{"CLOUDFORMATION_TEMPLATES": "false"}, "needs CLOUDFORMATION_TEMPLATES=true", "needs --cloudformation-templates=true"},
		"templates not given": {settings{"CLOUDFORMATION_TEMPLATES": ""}, "needs CLOUDFORMATION_TEMPLATES=true", "needs --cloudformation-templates=true"},
		"newest versions":     {settings{"LAUNCH_TEMPLATE_VERSIONS": "1"}, "needs LAUNCH_TEMPLATE_VERSIONS=all", "needs --launch-template-versions=all"},
		"all versions":        {settings{"LAUNCH_TEMPLATE_VERSIONS": "all"}, "", ""},
	} {
		given := settings{"ORPHANED_SNAPSHOTS": "remove", "CLOUDFORMATION_TEMPLATES": "true"}
		maps.Copy(given, c.more)
		lookup := func(variable string) string { return given[variable] }
		parsed, err := config.Parse(lookup)
		if c.says == "" {
			if err != nil || !parsed.Policy.RemoveOrphans || !parsed.Policy.ReportOrphans || parsed.Describe()["orphanedSnapshots"] != "remove" {
				t.Errorf("%s: %v", name, err)
			}
		} else if err == nil || !strings.HasPrefix(err.Error(), "ORPHANED_SNAPSHOTS: remove ") || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
		fault, _ := errors.AsType[*config.Fault](err)
		if c.says != "" && (fault == nil || !strings.Contains(fault.Says(record.Reader{CommandLine: true}), c.forReaders)) {
			t.Errorf("%s: %v", name, fault)
		}
		if _, err := config.ParseOrganization(lookup); err == nil || !strings.Contains(err.Error(), "ORPHANED_SNAPSHOTS: remove is not for a run over an organization") {
			t.Errorf("%s: an organization: %v", name, err)
		}
		given["ORPHANED_SNAPSHOTS"] = "report"
		if _, err := config.ParseOrganization(lookup); err != nil {
			t.Errorf("%s: an organization that reports: %v", name, err)
		}
	}
}
