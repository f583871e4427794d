package retention_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// replaces reports whether the newer of two idle images replaces the older in their family: whether
// the older is removed and the newer stays.
func replaces(t *testing.T, p retention.Policy, older, newer ami.Image) bool {
	t.Helper()
	older.ID, older.CreatedAt = "ami-older", ago(days(900))
	newer.ID, newer.CreatedAt = "ami-newer", ago(days(800))
	got := judge(t, p, inventory(region, older, newer))
	goes := got["ami-older"].Decision == retention.Deregister
	stays := got["ami-newer"].Decision == retention.Keep
	if goes != stays {
		return false // Two one-offs, which both go, or two families, each with its newest image.
	}
	return goes
}

// Names are unique, so images of one family never have the same one.
func TestNamesOfOneFamily(t *testing.T) {
	for _, names := range [][2]string{
		{"web-20260101", "web-20260201"},
		{"web-2026-01-01", "web-2026-02-01"},
		{"web-2026-01-01-1", "web-2026-02-01"},
		{"web-2026-01-01T02-03-04Z", "web-2026-02-01T02-03-04Z"},
		{"web 2026.01.01 @ 02.03", "web 2026.02.01 @ 02.04"},
		{"web-1700000000", "web-1800000000"},
		{"web-20260101020304", "web-20260101020305"},
		{"web-20260101T020304Z", "web-20260101T020305Z"},
		{"web-20260101t020304", "web-20260101t020305"},
		{"web-v1", "web-v2"},
		{"web-V1", "web-V2"},
		{"web-1.2.3", "web-1.10.0"},
		{"web-1.2.3", "web-1.2.3.4"},
		{"web-v1.2.3-rc1", "web-v1.2.3-rc2"},
		{"web-v1.2.3-rc1", "web-v1.2.3"},
		{"web-build42", "web-build43"},
		{"web_1", "web_2"},
		{"web/1", "web/2"},
		{"(web) [1]", "(web) [2]"},
		{"web-0a1b2c3", "web-9f8e7d6"},
		{"web-0A1B2C3", "web-9F8E7D6"},
		{"web-da39a3ee5e6b4b0d3255bfef95601890afd80709", "web-2fd4e1c67a2d28fced849ee1bb76e7391b93eb12"},
		{"web-b8d1a1f2-1111-4000-8000-000000000000", "web-00000000-abcd-4bcd-8bcd-abcdefabcdef"},
		{"web-abcdefab-abcd-4bcd-8bcd-abcdefabcdef", "web-00000000-0000-4000-8000-000000000000"},
		{"Ubuntu1404", "Ubuntu1604"},
		{"app20260102", "app20260103"},
		{"20260101-web", "20260102-web"},
		{"20260101", "20260102"},
		{"linux-x86_64-20260101", "linux-x86_64-20260102"},
		{"amzn2-ami-hvm-2.0.20260101.0-x86_64-gp2", "amzn2-ami-hvm-2.0.20260201.1-x86_64-gp2"},
		{"日本-20260101", "日本-20260102"},
		{"nginx-k3j9x2q", "nginx-p0d7m1z"}, // Chance, and nothing else that changes.
		{"nginx_7XK2P", "nginx_4WQ9D"},
		{"nginx k3j9x2q", "nginx 12qwert"},
		{"api-db-01", "api-db-02"}, // A bare counter.
		{"site 12 webserver", "site 14 webserver"},
		// Of one and the same instance.
		{"i-0aaaaaaaaaaaaaaa1-20250101", "i-0aaaaaaaaaaaaaaa1-20250110"},
		{"backup of vol-0aaaaaaaaaaaaaaa1 v1", "backup of vol-0aaaaaaaaaaaaaaa1 v2"},
		{"web-123456789012-1.0", "web-123456789012-1.1"},
		{"app-0aaaaaaaaaaaaaaa1", "app-0bbbbbbbbbbbbbbb2"}, // Of no kind of ids: hashes.
		{"vol-20250101", "vol-20250110"},                   // Dates.
		{"web-202501010203", "web-202502010203"},
		// More than an import's id, or something else.
		{"import-ami-20250101", "import-ami-20250110"},
		{"import-ami-0123456789abcdef0-1", "import-ami-0fedcba9876543210-2"},
		{"web import-ami-0123456789abcdef0", "web import-ami-0fedcba9876543210"},
		{"import-ami-123456789", "import-ami-123456780"},
	} {
		t.Run(names[0]+" "+names[1], func(t *testing.T) {
			if !replaces(t, policy(), idle("", named(names[0])), idle("", named(names[1]))) {
				t.Errorf("%q is not replaced by %q", names[0], names[1])
			}
		})
	}
}

// The newest image of one family says nothing about another family.
func TestNamesOfTwoFamilies(t *testing.T) {
	for _, names := range [][2]string{
		{"web-20260101", "api-20260201"},
		{"web1-20260101", "web2-20260201"},
		{"web-20260101", "web-base-20260201"},
		{"web-20260101", "Web-20260201"},
		{"web-20260101-arm64", "web-20260201-x86_64"},
		{"x86_64-20260101", "i386-20260201"},
		{"ec2-20260101", "s3-20260201"},
		{"db1-20260101", "db2-20260201"},
		{"worker-t2", "worker-t3"}, // Types of instances are no versions.
		{"gpu-p3", "gpu-p4"},
		{"db-r5-20260101", "db-r6-20260201"},
		{"web-20260101", "web_20260201"},
		// Hashes without a digit could be words; the error to make is two families.
		{"web-deadbeef-1", "web-cafebabe-1"},
		{"amzn2-ami-hvm-2.0.20260101.0-x86_64-gp2", "amzn2-ami-hvm-2.0.20260101.0-arm64-gp2"},
		{"i-0aaaaaaaaaaaaaaa1-20250101", "i-0bbbbbbbbbbbbbbb2-20250110"}, // Of two instances.
		{"i-1a2b3c4d-20250101", "i-1a2b3c4e-20250110"},
		{"i-12345678-20250101", "i-23456789-20250110"},
		{"web of I-0AAAAAAAAAAAAAAA1 1", "web of I-0BBBBBBBBBBBBBBB2 2"},
		{"vol-0aaaaaaaaaaaaaaa1-20250101", "vol-0bbbbbbbbbbbbbbb2-20250110"},
		{"from-snap-0aaaaaaaaaaaaaaa1-1", "from-snap-0bbbbbbbbbbbbbbb2-2"},
		{"web-vpc-0aaaaaaaaaaaaaaa1-1", "web-vpc-0bbbbbbbbbbbbbbb2-2"},
		{"123456789012-20250101", "111122223333-20250110"},
		{"acct123456789012-20250101", "acct111122223333-20250110"},
		{"web-frontend", "web-backend"}, // Words.
		// Imported machines.
		{"import-ami-0123456789abcdef0", "import-ami-0fedcba9876543210"},
		{"import-ami-0123456789abcdeft", "import-ami-fedcba9876543210t"},
		{"import-ami-fg4d51t0", "import-ami-ffmjni7l"},
		{"import-ami-0123abcd", "import-ami-4567cdef"},
		{"import-ami-fg4d51t0", "import-ami-0123456789abcdef0"},
		{"app-ubuntu22", "app-debian12"},
		{"app-al2023", "app-ubuntu22"},
		{"app-al2023", "app-ubuntu2204"},
		{"app-x86_64", "app-arm64"},
		{"app-k8s", "app-t3a"},
		{"node-eks129", "node-eks130"},
		{"web1-k3j9x2q", "web2-p0d7m1z"},
		// Each was one of its own before chance counted.
		{"web-20250101-k3j9x2q", "web-20250110-p0d7m1z"},
	} {
		t.Run(names[0]+" "+names[1], func(t *testing.T) {
			if replaces(t, policy(), idle("", named(names[0])), idle("", named(names[1]))) {
				t.Errorf("%q is replaced by %q", names[0], names[1])
			}
		})
	}
}

// A name with nothing in it that changes from build to build has no family, and no newest image
// that would stay for ever.
func TestOneOffs(t *testing.T) {
	for _, name := range []string{
		"", "golden", "web1", "import-ami-", "import-ami-web", "ec2", "my ec2 s3 image", "x86_64", "linux-x86_64", "windows-arm64", "abc-123abc", "app-ubuntu22", "web-t3a", "node-k8s", "web-frontend", "k3j9x2q", "testing_to_be_deleted", "deadbeefcafe", "-", "日本",
	} {
		t.Run(name, func(t *testing.T) {
			got := judge(t, policy(), inventory(region, idle(subject, named(name))))[subject]
			if got.Decision != retention.Deregister {
				t.Errorf("%s because of %v", got.Decision, got.Reasons)
			}
		})
	}
}

// The only image of its kind stays, and so does the last one of a series with random numbers.
func TestFamiliesOfOne(t *testing.T) {
	for name, family := range map[string]string{
		"i-0aaaaaaaaaaaaaaa1":                 "i-0aaaaaaaaaaaaaaa1",
		"before upgrade of i-1a2b3c4d":        "before upgrade of i-1a2b3c4d",
		"vol-0aaaaaaaaaaaaaaa1-20250101":      "vol-0aaaaaaaaaaaaaaa1-*",
		"golden of 123456789012":              "golden of 123456789012",
		"acct123456789012":                    "acct123456789012",
		"nginx-k3j9x2q":                       "nginx-*",
		"i-0aaaaaaaaaaaaaaa1-k3j9x2q":         "i-0aaaaaaaaaaaaaaa1-k3j9x2q",
		"i-0aaaaaaaaaaaaaaa1-1.2-20250101":    "i-0aaaaaaaaaaaaaaa1-*",
		"20250101 lt-0aaaaaaaaaaaaaaa1 web v": "* lt-0aaaaaaaaaaaaaaa1 web v",
		"import-ami-0123456789abcdef0":        "import-ami-0123456789abcdef0",
		"import-ami-0123456789abcdeft":        "import-ami-0123456789abcdeft",
		"import-ami-fgxnwqrt":                 "import-ami-fgxnwqrt",
	} {
		t.Run(name, func(t *testing.T) {
			got := judge(t, policy(), inventory(region, idle(subject, named(name))))[subject]
			if want := "the newest of family " + family + " (x86_64)\n"; got.Decision != retention.Keep || details(got) != want {
				t.Errorf("%s because of %q, want %q", got.Decision, details(got), want)
			}
		})
	}
}

func TestArchitecturesAreFamiliesOfTheirOwn(t *testing.T) {
	arm := func(i *ami.Image) { i.Architecture = "arm64" }
	role := func(p *retention.Policy) { p.FamilyTag = "role" }
	for name, test := range map[string]struct {
		older, newer ami.Image
		want         bool
	}{
		"same_architecture":              {idle("", named("web-1")), idle("", named("web-2")), true},
		"other_architecture":             {idle("", named("web-1")), idle("", named("web-2"), arm), false},
		"same_tag_other_architecture":    {idle("", tagged("role", "web")), idle("", tagged("role", "web"), arm), false},
		"unknown_architecture":           {idle("", named("web-1")), idle("", named("web-2"), func(i *ami.Image) { i.Architecture = "" }), false},
		"one_off_of_other_architectures": {idle("", named("web")), idle("", named("web"), arm), false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := replaces(t, policy(role), test.older, test.newer); got != test.want {
				t.Errorf("replaces: %t, want %t", got, test.want)
			}
		})
	}
}

func TestFamilyTag(t *testing.T) {
	role := func(p *retention.Policy) { p.FamilyTag = "role" }
	none := func(*retention.Policy) {}
	for name, test := range map[string]struct {
		policy       func(*retention.Policy)
		older, newer ami.Image
		want         bool
	}{
		"same_value_of_one_offs_is_a_family":     {role, idle("", tagged("role", "web")), idle("", tagged("role", "web")), true},
		"another_value_is_another_family":        {role, idle("", named("web-1"), tagged("role", "a")), idle("", named("web-2"), tagged("role", "b")), false},
		"the_value_wins_over_the_name":           {role, idle("", named("web-1"), tagged("role", "a")), idle("", named("api-1"), tagged("role", "a")), true},
		"values_are_not_taken_apart":             {role, idle("", tagged("role", "web-1")), idle("", tagged("role", "web-2")), false},
		"without_the_tag_the_name_decides":       {role, idle("", named("web-1")), idle("", named("web-2")), true},
		"an_empty_value_lets_the_name_decide":    {role, idle("", named("web-1"), tagged("role", "")), idle("", named("web-2")), true},
		"the_value_wins_over_an_imports_name":    {role, idle("", named("import-ami-fg4d51t0"), tagged("role", "a")), idle("", named("import-ami-ffmjni7l"), tagged("role", "a")), true},
		"a_tagged_image_leaves_its_name_behind":  {role, idle("", named("web-1"), tagged("role", "x")), idle("", named("web-2")), false},
		"without_a_family_tag_the_name_decides":  {none, idle("", named("web-1"), tagged("role", "a")), idle("", named("web-2"), tagged("role", "b")), true},
		"a_tag_without_a_key_is_not_the_default": {none, idle("", tagged("", "web")), idle("", tagged("", "web")), false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := replaces(t, policy(test.policy), test.older, test.newer); got != test.want {
				t.Errorf("replaces: %t, want %t", got, test.want)
			}
		})
	}
}

// series makes idle images of one family, the first the oldest.
func series(n int) []ami.Image {
	images := make([]ami.Image, n)
	for i := range images {
		images[i] = idle(fmt.Sprintf("ami-%d", i+1), named(fmt.Sprintf("web-%d", i+1)), created(ago(days(900-i))))
	}
	return images
}

func TestKeepNewest(t *testing.T) {
	keep := func(n int) func(*retention.Policy) {
		return func(p *retention.Policy) { p.KeepNewest = n }
	}
	for name, test := range map[string]struct {
		newest int
		images []ami.Image
		goes   []string
	}{
		"none_are_kept":               {0, series(3), []string{"ami-1", "ami-2", "ami-3"}},
		"one_is_kept":                 {1, series(3), []string{"ami-1", "ami-2"}},
		"two_are_kept":                {2, series(3), []string{"ami-1"}},
		"as_many_as_there_are":        {3, series(3), []string{}},
		"more_than_there_are":         {4, series(3), []string{}},
		"every_family_counts_its_own": {1, append(series(2), idle("ami-9", named("api-1"))), []string{"ami-1"}},
	} {
		t.Run(name, func(t *testing.T) {
			here := inventory(region, test.images...)
			got := decided(policy(keep(test.newest)).Open([]ami.Inventory{here}, now).Plan(unused(here)), retention.Deregister)
			if !slices.Equal(got, test.goes) {
				t.Errorf("goes %v, want %v", got, test.goes)
			}
		})
	}
}

// The newest of a family are counted before anything is removed: if one of them is kept for another
// reason as well, that keeps no further image.
func TestNewestAreCountedBeforeAnythingIsRemoved(t *testing.T) {
	images := series(3)
	images[2].LastLaunchedAt = ago(days(1))
	got := judge(t, policy(), inventory(region, images...))
	if got["ami-2"].Decision != retention.Deregister {
		t.Errorf("the second newest: %s because of %v", got["ami-2"].Decision, got["ami-2"].Reasons)
	}
	if want := []retention.Code{"recently-used", "newest-of-family"}; !slices.Equal(codes(got["ami-3"]), want) {
		t.Errorf("the newest stays because of %v, want %v", codes(got["ami-3"]), want)
	}
}

// Images that were created at the same moment are told apart by their ids.
func TestNewestAtTheSameMoment(t *testing.T) {
	images := series(3)
	for i := range images {
		images[i].CreatedAt = ago(days(900))
	}
	for range 2 {
		here := inventory(region, images...)
		got := decided(policy().Open([]ami.Inventory{here}, now).Plan(unused(here)), retention.Keep)
		if !slices.Equal(got, []string{"ami-3"}) {
			t.Errorf("stays %v, want ami-3", got)
		}
		slices.Reverse(images)
	}
}

// An image that cannot replace its predecessor does not displace it.
func TestUnusableImagesAreNotTheNewest(t *testing.T) {
	for name, spoil := range map[string]func(*ami.Image){
		"failed":          func(i *ami.Image) { i.State = "failed" },
		"disabled":        func(i *ami.Image) { i.State = "disabled" },
		"pending":         func(i *ami.Image) { i.State = "pending" },
		"not_owned":       func(i *ami.Image) { i.OwnerID = "999999999999" },
		"unreadable":      func(i *ami.Image) { i.Unreadable = []string{"x"} },
		"without_a_date":  func(i *ami.Image) { i.CreatedAt = time.Time{} },
		"future_dated":    func(i *ami.Image) { i.CreatedAt = now.Add(1) },
		"managed":         tagged("aws:backup:source-resource", "i-1"),
		"managed_by_name": func(i *ami.Image) { i.Name = "AwsBackup_" + i.Name; i.Tags["role"] = "web" },
	} {
		t.Run(name, func(t *testing.T) {
			images := series(2)
			images[0].Tags["role"], images[1].Tags["role"] = "web", "web"
			spoil(&images[1])
			p := policy(func(p *retention.Policy) { p.FamilyTag = "role" })
			got := judge(t, p, inventory(region, images...))["ami-1"]
			if want := []retention.Code{"newest-of-family"}; !slices.Equal(codes(got), want) {
				t.Errorf("%s because of %v, want %v", got.Decision, got.Reasons, want)
			}
		})
	}
}

// Who looks for the newest image of a family does not see a deprecated one: the newest that is not
// deprecated stays, too. Nothing goes because it is deprecated.
func TestTheNewestThatIsNotDeprecatedStaysToo(t *testing.T) {
	deprecated := func(by time.Duration, changes ...func(*ami.Image)) func(*ami.Image) {
		return func(i *ami.Image) {
			i.DeprecatedAt = now.Add(by)
			for _, change := range changes {
				change(i)
			}
		}
	}
	in := func(days int) time.Duration { return time.Duration(days) * 24 * time.Hour }
	announced := tagged("ami-janitor:announced-by", "20261101T020000Z-3f9c1a team-c")
	for name, test := range map[string]struct {
		newest   int
		change   map[int]func(*ami.Image) // By number: 4 is the newest.
		recorded map[string]ami.Announcement
		stays    []string
	}{
		"none":                      {1, nil, nil, []string{"ami-4"}},
		"the_newest":                {1, map[int]func(*ami.Image){4: deprecated(-1)}, nil, []string{"ami-3", "ami-4"}},
		"the_newest_two":            {1, map[int]func(*ami.Image){4: deprecated(in(-100)), 3: deprecated(in(-1))}, nil, []string{"ami-2", "ami-4"}},
		"at_this_moment":            {1, map[int]func(*ami.Image){4: deprecated(0)}, nil, []string{"ami-3", "ami-4"}},
		"not_yet":                   {1, map[int]func(*ami.Image){4: deprecated(1)}, nil, []string{"ami-4"}},
		"an_older_one":              {1, map[int]func(*ami.Image){3: deprecated(in(-1))}, nil, []string{"ami-4"}},
		"all":                       {1, map[int]func(*ami.Image){1: deprecated(-1), 2: deprecated(-1), 3: deprecated(-1), 4: deprecated(-1)}, nil, []string{"ami-4"}},
		"of_several":                {2, map[int]func(*ami.Image){4: deprecated(-1)}, nil, []string{"ami-2", "ami-3", "ami-4"}},
		"fewer_than_are_kept":       {3, map[int]func(*ami.Image){4: deprecated(-1), 3: deprecated(-1), 2: deprecated(-1)}, nil, []string{"ami-1", "ami-2", "ami-3", "ami-4"}},
		"none_are_kept":             {0, map[int]func(*ami.Image){4: deprecated(-1)}, nil, []string{}},
		"maybe_by_a_run_says_a_tag": {1, map[int]func(*ami.Image){4: deprecated(-1, announced)}, nil, []string{"ami-3", "ami-4"}},
		"by_a_run_says_the_journal": {1, map[int]func(*ami.Image){4: deprecated(-1)}, map[string]ami.Announcement{"ami-4": {Action: "deprecate"}}, []string{"ami-3", "ami-4"}},
		"all_and_one_maybe_by_a_run": {
			1, map[int]func(*ami.Image){1: deprecated(-1), 2: deprecated(-1, tagged("ami-janitor:restored", "2025-01-02")), 3: deprecated(-1), 4: deprecated(-1)}, nil, []string{"ami-2", "ami-4"},
		},
		"announced_only_says_the_journal": {1, map[int]func(*ami.Image){4: deprecated(-1)}, map[string]ami.Announcement{"ami-4": {Action: "announce"}}, []string{"ami-3", "ami-4"}},
	} {
		t.Run(name, func(t *testing.T) {
			images := series(4)
			for number, change := range test.change {
				change(&images[number-1])
			}
			here := inventory(region, images...)
			here.History.Announced = test.recorded
			p := policy(func(p *retention.Policy) { p.KeepNewest = test.newest })
			got := decided(p.Open([]ami.Inventory{here}, now).Plan(unused(here)), retention.Keep)
			if slices.Sort(got); !slices.Equal(got, test.stays) {
				t.Errorf("stays %v, want %v", got, test.stays)
			}
		})
	}
}

// That the removal of a deprecated image is announced does not make it one of the newest.
func TestAnAnnouncementIsNoDeprecation(t *testing.T) {
	const run = "20261101T020000Z-3f9c1a"
	for action, want := range map[string]retention.Code{"announce": "announced", "deprecate": "newest-of-family"} {
		images := series(2)
		for i := range images {
			images[i].DeprecatedAt = ago(days(100 - i))
		}
		p := policy(grace(30, retention.Announce))
		tagged("ami-janitor:due", "2026-12-01")(&images[0])
		tagged("ami-janitor:announced-by", run+" "+p.Name)(&images[0])
		here := inventory(region, images...)
		here.History.Announced = map[string]ami.Announcement{"ami-1": {Run: run, Policy: p.Name, Due: now.AddDate(0, 0, 8), Action: action}}
		if got := verdicts(p.Open([]ami.Inventory{here}, now).Plan(unused(here)))["ami-1"]; codes(got)[0] != want {
			t.Errorf("%s: %s because of %v, want %s", action, got.Decision, got.Reasons, want)
		}
	}
}

func TestTheNewestThatIsNotDeprecatedSaysSo(t *testing.T) {
	images := series(3)
	images[2].DeprecatedAt = ago(days(1))
	for n, want := range map[int]string{
		1: "the newest of family web-* (x86_64), without those that are deprecated\n",
		2: "among the newest 2 of family web-* (x86_64), without those that are deprecated\n",
	} {
		p := policy(func(p *retention.Policy) { p.KeepNewest = n })
		if got := details(judge(t, p, inventory(region, images...))[images[2-n].ID]); got != want {
			t.Errorf("says %q, want %q", got, want)
		}
	}
}

// A family does not reach beyond its region: an image cannot be launched in another.
func TestEveryRegionKeepsItsNewest(t *testing.T) {
	images := series(2)
	got := judge(t, policy(), inventory(region, images[0]), inventory("us-east-1", images[1]))
	for id, v := range got {
		if want := []retention.Code{"newest-of-family"}; !slices.Equal(codes(v), want) {
			t.Errorf("%s: %s because of %v, want %v", id, v.Decision, v.Reasons, want)
		}
	}
}

// A number of images below zero keeps none, like zero.
func TestKeepNewestBelowZero(t *testing.T) {
	defer func() {
		if r := recover(); r != nil {
			t.Errorf("panics: %v", r)
		}
	}()
	p := policy(func(p *retention.Policy) { p.KeepNewest = -1 })
	for id, v := range judge(t, p, inventory(region, series(2)...)) {
		if v.Decision != retention.Deregister {
			t.Errorf("%s: %s because of %v", id, v.Decision, v.Reasons)
		}
	}
}

func TestTheNewestSeveralSayHowMany(t *testing.T) {
	p := policy(func(p *retention.Policy) { p.KeepNewest = 2 })
	got := details(judge(t, p, inventory(region, series(3)...))["ami-2"])
	if want := "among the newest 2 of family web-* (x86_64)\n"; got != want {
		t.Errorf("says %q, want %q", got, want)
	}
}

// What needs a subscription displaces nothing that needs none, whatever the switch says, and the
// newest with a product code stays beside it.
func TestAProductDisplacesNoImageWithoutACode(t *testing.T) {
	product := func(i *ami.Image) { i.Marketplace = true }
	role := tagged("role", "web")
	for name, list := range map[string][]func(*ami.Image){"by name": {}, "by tag": {role}} {
		for _, judged := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", judged: ", judged), func(t *testing.T) {
				with := func(own ...func(*ami.Image)) []func(*ami.Image) { return append(slices.Clone(list), own...) }
				here := inventory(region,
					idle("ami-4", with(named("web-4"), created(ago(days(401))), product)...),
					idle("ami-3", with(named("web-3"), created(ago(days(402))), product)...),
					idle("ami-2", with(named("web-2"), created(ago(days(403))))...),
					idle("ami-1", with(named("web-1"), created(ago(days(404))))...),
				)
				got := judge(t, policy(func(p *retention.Policy) { p.JudgeMarketplace, p.FamilyTag = judged, "role" }), here)
				want := map[string]bool{"ami-4": true, "ami-3": !judged, "ami-2": true, "ami-1": false}
				for id, stays := range want {
					if v := got[id]; (v.Decision == retention.Keep) != stays {
						t.Errorf("%s: %s because of %v", id, v.Decision, v.Reasons)
					}
				}
			})
		}
	}
}
