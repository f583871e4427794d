package retention_test

import (
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

func TestRules(t *testing.T) {
	var seen []retention.Code
	for _, rule := range retention.Rules() {
		if slices.Contains(seen, rule.Code) {
			t.Errorf("%s is there twice", rule.Code)
		}
		seen = append(seen, rule.Code)
		if !regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`).MatchString(string(rule.Code)) {
			t.Errorf("%q is no code", rule.Code)
		}
		if rule.Meaning == "" || strings.TrimSpace(rule.Meaning) != rule.Meaning || strings.HasSuffix(rule.Meaning, ".") {
			t.Errorf("%s means %q, which does not continue a sentence", rule.Code, rule.Meaning)
		}
	}
	for _, rule := range retention.Rules() {
		goes := slices.Contains([]retention.Code{"stale", "never-launched", "refused", "over-cap", "not-looked-up", "not-approved", "used-since-planned", "changed-since-planned"}, rule.Code)
		if (rule.Until == "") != goes || strings.TrimSpace(rule.Until) != rule.Until || strings.HasSuffix(rule.Until, ".") {
			t.Errorf("%s lasts until %q, which does not continue a sentence", rule.Code, rule.Until)
		}
	}
	rules := retention.Rules()
	rules[0].Code = "changed"
	if retention.Rules()[0].Code == "changed" {
		t.Error("a caller can change the rules")
	}
}

// Every rule has a case, and every case a rule.
func TestEveryRuleHasACase(t *testing.T) {
	tried := map[retention.Code]bool{
		"stale": true, "never-launched": true, // TestWhyStale
		"over-cap":           true,                                // TestDeferredImagesSayWhy
		"not-looked-up":      true,                                // TestWhatIsNotLookedUpWaits
		"refused":            true,                                // TestARefusalSaysWhenAndWhy
		"announced":          true,                                // TestAnnouncements
		"not-approved":       true,                                // TestNothingButWhatIsApproved
		"used-since-planned": true, "changed-since-planned": true, // TestRecheck
	}
	for _, test := range factCases(t) {
		tried[test.kept] = true
	}
	for _, test := range evidenceCases(ami.Gap{}, ami.Reference{}) {
		for _, code := range test.kept {
			tried[code] = true
		}
	}
	delete(tried, "")
	for _, rule := range retention.Rules() {
		if !tried[rule.Code] {
			t.Errorf("no case for %s: add one to factCases in facts_test.go, or to evidenceCases in evidence_test.go", rule.Code)
		}
		delete(tried, rule.Code)
	}
	for code := range tried {
		t.Errorf("a case for %s, which is no rule in rules.go", code)
	}
}

// Whoever says keep ends an announcement for the whole idle time; a doubt leaves it.
func TestWhatEndsAnAnnouncement(t *testing.T) {
	want := map[retention.Code]retention.Unmark{}
	for becomes, codes := range map[retention.Unmark][]retention.Code{
		retention.Veto: {"in-use", "keep-list", "keep-tag", "protected", "public", "restored", "shared", "vetoed"},
		retention.LeaveMark: {
			"announced-elsewhere", "census-too-young", "claimed", "copied-tags", "future-dated", "launch-data-missing", "not-owned",
			"snapshot-in-doubt", "snapshot-unclear", "unknown-use", "unreadable", "unreadable-tag", "unrecorded", "usage-report-pending",
		},
	} {
		for _, code := range codes {
			want[code] = becomes
		}
	}
	for code, got := range retention.OnAnnouncement() {
		expected, ok := want[code]
		if !ok {
			expected = retention.ClearMark
		}
		if got != expected {
			t.Errorf("%s does %q to an announcement, want %q: correct its row in rules.go, or add it to this test", code, got, expected)
		}
	}
}

// A field of the policy that its sentence leaves out is a choice that nobody sees.
func TestThePolicySaysEachOfItsFields(t *testing.T) {
	// The digest tells who ran by the name; the others only bound what the sentence says.
	unsaid := []string{"Name", "AllowShorter", "SeenNights", "ReportOrphans"}
	changed := map[string]func(*retention.Policy){
		"KeepTags":      func(p *retention.Policy) { p.KeepTags = tags(t, "a") },
		"OnlyTags":      func(p *retention.Policy) { p.OnlyTags = tags(t, "a") },
		"Names":         func(p *retention.Policy) { p.Names = names(t, "a") },
		"KeepList":      func(p *retention.Policy) { p.KeepList = keepList(t, "a") },
		"GraceAction":   func(p *retention.Policy) { p.GraceAction = retention.Disable },
		"BundleBuckets": func(p *retention.Policy) { p.BundleBuckets = []string{"amzn-s3-demo-bucket1"} },
	}
	without := policy(func(p *retention.Policy) {
		p.Grace, p.RequireRecycleBin, p.RemoveOrphans, p.OrphanedAfter = limit(14), true, true, limit(90)
		p.DeleteBundles, p.BundleBuckets = true, []string{"amzn-s3-demo-bucket"}
	})
	for i := range reflect.TypeFor[retention.Policy]().NumField() {
		field := reflect.TypeFor[retention.Policy]().Field(i).Name
		with := without
		switch value := reflect.ValueOf(&with).Elem().Field(i); {
		case slices.Contains(unsaid, field):
			continue
		case changed[field] != nil:
			changed[field](&with)
		case value.Kind() == reflect.Bool:
			value.SetBool(!value.Bool())
		case value.CanInt():
			value.SetInt(value.Int() + int64(retention.Day))
		case value.Kind() == reflect.String:
			value.SetString("other")
		default:
			t.Errorf("add a value of %s to this test", field)
		}
		if with.String() == without.String() {
			t.Errorf("the sentence says nothing of %s: say it in Policy.String in policy.go", field)
		}
	}
}

// The sentence says every choice that an operator has made.
func TestPolicyInWords(t *testing.T) {
	for name, test := range map[string]struct {
		policy func(*retention.Policy)
		says   []string
		unsaid []string
	}{
		"every_choice": {
			func(p *retention.Policy) {
				p.KeepTags, p.OnlyTags, p.Names, p.FamilyTag, p.KeepNewest = tags(t, "a,b=c"), tags(t, "team"), names(t, "web-*,!x"), "role", 2
			},
			[]string{"180 days", "90 days", "snapshots deleted", "at most 100 a run", "newest 2", "tag role", "a,b=c", "tagged team", "web-*,!x"},
			[]string{"announced", "keep list", "shared", "Image Builder", "Marketplace", "failed"},
		},
		"every_later_choice": {
			func(p *retention.Policy) {
				p.KeepList, p.JudgeShared, p.JudgeImageBuilder, p.JudgeMarketplace, p.JudgeFailed = keepList(t, "a,b,c"), true, true, true, true
				p.Grace, p.GraceAction, p.RequireRecycleBin, p.RecycleBinDays = limit(14), retention.Disable, true, 7
			},
			[]string{
				", 14 days after they were announced, and disabled until then if they are not shared, except", "what the keep list names (3)",
				"Public and shared images are judged, too, by image usage reports.", "Images made by Image Builder are judged, too.",
				"Images with a Marketplace product code are judged, too, unless they are public or shared.", "Images that have failed are judged, too.",
				"Only what the Recycle Bin holds for at least 7 days is removed.",
			},
			nil,
		},
		"one_day_and_deprecated": {grace(1, retention.Deprecate), []string{"1 day after they were announced, and deprecated on that day if they have no date"}, []string{"disabled"}},
		"one_entry":              {func(p *retention.Policy) { p.KeepList = keepList(t, "a") }, []string{"what the keep list names (1)"}, nil},
		"any_time_in_the_bin":    {func(p *retention.Policy) { p.RequireRecycleBin = true }, []string{"Only what the Recycle Bin holds is removed."}, nil},
		"announced_alone":        {grace(14, retention.Announce), []string{"14 days after they were announced, except"}, []string{"disabled", "deprecated"}},
		"hardly_any": {
			func(p *retention.Policy) {
				p.StaleAfter, p.NeverLaunchedAfter, p.DeleteSnapshots, p.KeepNewest = limit(7), limit(7), false, 0
			},
			[]string{"7 days", "at most 100 a run"},
			[]string{"never launched", "snapshots deleted", "newest", "tagged", "named"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := policy(test.policy).String()
			for _, part := range test.says {
				if !strings.Contains(got, part) {
					t.Errorf("%q does not say %q", got, part)
				}
			}
			for _, part := range test.unsaid {
				if strings.Contains(got, part) {
					t.Errorf("%q says %q", got, part)
				}
			}
		})
	}
}
