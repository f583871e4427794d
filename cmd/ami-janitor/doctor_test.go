package main

import (
	"encoding/json"
	"maps"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ami-janitor/ami-janitor/internal/deployment"
	"github.com/ami-janitor/ami-janitor/internal/disturb"
	"github.com/ami-janitor/ami-janitor/pkg/doctor"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/emulator/middleware"
)

// healthy are the parameters of a deployment that has nothing to complain about.
var healthy = map[string]string{"DigestEmail": "platform@example.com", "AlarmEmail": "oncall@example.com", "DryRun": "false"}

// serveDeployment serves an account with a deployment, and denies some actions.
func serveDeployment(t *testing.T, parameters map[string]string, denied ...string) *emulator.Account {
	t.Helper()
	account := deployment.Files(t, "../..", "us-east-1", parameters, time.Now().Add(-time.Hour)).Load(t, emulator.Options{Now: time.Now})
	server := httptest.NewServer(middleware.Handler(disturb.Deny(account.Client(), denied...)))
	t.Cleanup(server.Close)
	leadTo(t, server.URL)
	return account
}

func examinedAs(t *testing.T, r result) doctor.Report {
	t.Helper()
	var report doctor.Report
	if err := json.Unmarshal([]byte(r.out), &report); err != nil {
		t.Fatalf("%v\n%s%s", err, r.out, r.err)
	}
	return report
}

// TestDoctorOfAHealthyDeployment: all is well, in a table of 80 columns and in JSON, and nothing is
// changed.
func TestDoctorOfAHealthyDeployment(t *testing.T) {
	account := serveDeployment(t, healthy)
	r := cli(t, nil, "doctor", "--stack", "ami-janitor")
	if r.status != 0 {
		t.Fatalf("status %d\n%s%s", r.status, r.out, r.err)
	}
	for line := range strings.Lines(r.out) {
		if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > helpWidth {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	report := examinedAs(t, cli(t, nil, "doctor", "--stack", "ami-janitor", "--output", "json"))
	for _, f := range report.Findings {
		if f.Level != doctor.Good && f.Level != doctor.Note {
			t.Errorf("%+v", f)
		}
	}
	for _, call := range account.Calls() {
		if !emulator.IsRead(call.Action) && call.Action != "SimulatePrincipalPolicy" {
			t.Errorf("doctor calls %s", call.Action)
		}
	}
}

// TestDoctorGoesOn: a check that is denied is a row, and not the end.
func TestDoctorGoesOn(t *testing.T) {
	serveDeployment(t, healthy, "SimulatePrincipalPolicy", "DescribeComputeEnvironments")
	r := cli(t, nil, "doctor", "--stack", "ami-janitor", "--output", "json")
	if r.status != exitRemovalFailed {
		t.Fatalf("status %d\n%s", r.status, r.err)
	}
	unchecked := map[string]bool{}
	for _, f := range examinedAs(t, r).Findings {
		unchecked[f.Check] = unchecked[f.Check] || f.Level == doctor.Unchecked
	}
	maps.DeleteFunc(unchecked, func(_ string, is bool) bool { return !is })
	if got := slices.Sorted(maps.Keys(unchecked)); !slices.Equal(got, []string{"batch", "permissions"}) {
		t.Errorf("not checked: %q", got)
	}
}

// TestDoctorOfAPerson checks the rights of whoever asks, a user or a role. What only sweep needs is
// a note.
func TestDoctorOfAPerson(t *testing.T) {
	for name, c := range map[string]struct {
		arn    string
		status int
		want   doctor.Finding // Its texts are parts of those that are wanted.
	}{
		"a user who may read": {deployment.Caller, 0, doctor.Finding{Level: doctor.Note, Found: "simulated as Alice, these are denied: ec2:CreateTags", Remedy: "plan and explain do without"}},
		"a role": {"arn:aws:sts::123456789012:assumed-role/ami-janitor-JanitorRole-EXAMPLE/session", 0, doctor.Finding{
			Level: doctor.Good, Found: "simulated as ami-janitor-JanitorRole-EXAMPLE, come out as they should",
		}},
		"another role": {"arn:aws:sts::123456789012:assumed-role/ami-janitor-ScheduleRole-EXAMPLE/session", exitRemovalFailed, doctor.Finding{
			Level: doctor.Wrong, Found: "ec2:DescribeImages is denied on *", Remedy: "Allow ec2:DescribeImages.",
		}},
		"the root user": {"arn:aws:iam::123456789012:root", exitRemovalFailed, doctor.Finding{Level: doctor.Unchecked, Found: "IAM simulates roles and users", Remedy: "credentials of a role"}},
	} {
		t.Run(name, func(t *testing.T) {
			files := deployment.Files(t, "../..", "us-east-1", map[string]string{"RolePath": "/janitor/"}, time.Now())
			files["get-caller-identity.json"] = map[string]any{"Account": "123456789012", "Arn": c.arn}
			server := httptest.NewServer(middleware.Handler(files.Load(t, emulator.Options{Now: time.Now}).Client()))
			t.Cleanup(server.Close)
			leadTo(t, server.URL)
			r := cli(t, nil, "doctor", "--output", "json")
			if r.status != c.status {
				t.Errorf("status %d\n%s%s", r.status, r.out, r.err)
			}
			if !slices.ContainsFunc(examinedAs(t, r).Findings, func(f doctor.Finding) bool {
				return f.Check == "permissions" && f.Level == c.want.Level && strings.Contains(f.Found, c.want.Found) && strings.Contains(f.Remedy, c.want.Remedy)
			}) {
				t.Errorf("not found:\n%s", r.out)
			}
		})
	}
}

// TestDoctorOfNoDeployment: a function that cannot be read, or is not the janitor's, is a row, and
// what depends on its settings is not checked.
func TestDoctorOfNoDeployment(t *testing.T) {
	for name, c := range map[string]struct {
		stack  string
		denied []string
		level  doctor.Level
		found  string
	}{
		"another stack":           {"other", nil, doctor.Wrong, "--stack other in us-east-1"},
		"the function is denied":  {"ami-janitor", []string{"GetFunctionConfiguration"}, doctor.Unchecked, "lambda:GetFunctionConfiguration"},
		"the resources is denied": {"ami-janitor", []string{"DescribeStackResource"}, doctor.Unchecked, "cloudformation:DescribeStackResource"},
	} {
		t.Run(name, func(t *testing.T) {
			serveDeployment(t, healthy, c.denied...)
			r := cli(t, nil, "doctor", "--stack", c.stack, "--output", "json")
			report := examinedAs(t, r)
			if r.status != exitRemovalFailed || !slices.ContainsFunc(report.Findings, func(f doctor.Finding) bool {
				return f.Check == "function" && f.Level == c.level && strings.Contains(f.Found, c.found)
			}) {
				t.Errorf("status %d\n%s%s", r.status, r.out, r.err)
			}
			for _, check := range []string{"permissions", "sources of evidence"} {
				if !slices.ContainsFunc(report.Findings, func(f doctor.Finding) bool { return f.Check == check && f.Level == doctor.Unchecked }) {
					t.Errorf("%s is not among what is not checked\n%s", check, r.out)
				}
			}
		})
	}
}

// TestDoctorWithoutCredentials has one finding, and a status of its own.
func TestDoctorWithoutCredentials(t *testing.T) {
	serveDeployment(t, healthy, "GetCallerIdentity")
	r := cli(t, nil, "doctor")
	if r.status != exitRegionFailed || !strings.Contains(r.out, "wrong") {
		t.Errorf("status %d\n%s%s", r.status, r.out, r.err)
	}
}
