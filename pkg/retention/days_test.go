package retention_test

import (
	"strings"
	"testing"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

func TestParseDays(t *testing.T) {
	for text, want := range map[string]retention.Days{
		"0d": 0, "1d": limit(1), "180d": limit(180), "0180d": limit(180), "36500d": limit(36500),
	} {
		got, err := retention.ParseDays(text)
		if err != nil || got != want {
			t.Errorf("%q: %v, %v; want %v", text, got, err, want)
		}
	}
}

func TestParseDaysRefuses(t *testing.T) {
	for _, text := range []string{
		"", "d", "180", "180D", "180 d", " 180d", "180d ", "180dd", "-1d", "+1d", "1.5d", "1e2d", "0x1d", "1_0d", "180h", "6m", "one d", "١d",
		"36501d", "99999999999999999999d",
	} {
		if got, err := retention.ParseDays(text); err == nil {
			t.Errorf("%q is read as %v", text, got)
		} else if !strings.Contains(err.Error(), text) {
			t.Errorf("the error for %q does not name it: %v", text, err)
		}
	}
}

// A duration that cannot be read is an error and not a short one, and one that can be read is
// written the same way.
func FuzzParseDays(f *testing.F) {
	for _, seed := range []string{"180d", "0d", "36500d", "36501d", "d", "1.5d", "18446744073709551616d"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := retention.ParseDays(text)
		if err != nil {
			return
		}
		if got < 0 || got > limit(36500) || time.Duration(got)%retention.Day != 0 {
			t.Fatalf("%q is read as %v", text, time.Duration(got))
		}
		if again, err := retention.ParseDays(got.String()); err != nil || again != got {
			t.Errorf("%q is read as %s, and that as %v, %v", text, got, again, err)
		}
		if want := strings.TrimLeft(text, "0"); want != got.String() && want != "d" {
			t.Errorf("%q is read as %s", text, got)
		}
	})
}

// Whatever the janitor's tags say, the image is judged, and is removed only if both are sensible.
func FuzzOwnTags(f *testing.F) {
	for _, seed := range []string{
		"", "2026-01-31", "2026-01-31T00:00:00Z", "2026-01-31T00:00:00.5+14:00", "9999-12-31", "0000-01-01", "2026-1-1", "2026-11-24", "\xff",
	} {
		f.Add(seed, "30d")
	}
	f.Add("2020-01-01", "6d")
	f.Add("2020-01-01", "36500d")
	f.Fuzz(func(t *testing.T, restored, staleAfter string) {
		image := idle(subject, tagged("ami-janitor:restored", restored), tagged("ami-janitor:stale-after", staleAfter))
		v := judge(t, policy(), inventory(region, image))[subject]
		if len(v.Reasons) == 0 {
			t.Fatal("no reason")
		}
		if v.Decision != retention.Deregister {
			return
		}
		allowed, err := retention.ParseDays(staleAfter)
		if err != nil || allowed < retention.Floor {
			t.Errorf("goes with a limit of %q", staleAfter)
		}
		at, err := time.Parse("2006-01-02", restored)
		if err != nil {
			at, err = time.Parse(time.RFC3339, restored)
		}
		if err != nil || now.Sub(at) <= time.Duration(allowed) {
			t.Errorf("goes although restored %q, with a limit of %s", restored, allowed)
		}
	})
}

// Whatever an image is called, it is judged, has at most one family, and the only image of a family
// stays.
func FuzzFamilyOfName(f *testing.F) {
	for _, seed := range []string{
		"", "golden", "web-20260101", "web-*", "***", "web-b8d1a1f2-1111-4000-8000-000000000000", "x86_64", "\xff1", "1", strings.Repeat("1-", 200), "日本 1",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		older := idle("ami-1", named(name), created(ago(days(900))))
		newer := idle("ami-2", named(name), created(ago(days(800))))
		unnamed := func(i *ami.Image) { i.Name = "" }
		got := judge(t, policy(), inventory(region, older, newer, idle("ami-3", unnamed)))
		if strings.HasPrefix(name, "AwsBackup_") || strings.HasPrefix(name, "DLM_policy-") {
			return
		}
		if got["ami-1"].Decision != retention.Deregister {
			t.Errorf("%q: the older image: %s because of %v", name, got["ami-1"].Decision, got["ami-1"].Reasons)
		}
		hasFamily := got["ami-2"].Decision == retention.Keep
		if hasFamily && !strings.ContainsAny(name, "0123456789") {
			t.Errorf("%q has a family although nothing in it is a date, a version or a hash", name)
		}
	})
}
