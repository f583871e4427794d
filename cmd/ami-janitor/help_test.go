package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/ami-janitor/ami-janitor/pkg/config"
)

// commandNames are those of the commands that the help shows, as they stand there.
func commandNames(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, command := range newRoot(nil, streams{}, func(string) string { return "" }).Commands() {
		names = append(names, command.Name())
	}
	if len(names) < 9 {
		t.Fatal(names)
	}
	return names
}

// The help of every command fits a terminal of 80 columns, and shows how the command is typed.
func TestTheHelpFits(t *testing.T) {
	root := cli(t, nil, "--help")
	for _, name := range append(commandNames(t), "") {
		help := cli(t, nil, strings.Fields(name+" --help")...)
		if help.status != 0 || help.err != "" || !strings.Contains(help.out, "Usage:") {
			t.Errorf("%s: %+v", name, help)
		}
		if !strings.Contains(help.out, "\nExamples:\n  ami-janitor ") && name != "version" {
			t.Errorf("%s has no examples", name)
		}
		for line := range strings.Lines(help.out) {
			if utf8.RuneCountInString(strings.TrimSuffix(line, "\n")) > 80 {
				t.Errorf("%s: %s", name, line)
			}
		}
		if !strings.Contains(root.out, "\n  "+name) {
			t.Errorf("the root's help does not have %s", name)
		}
	}
	for _, group := range commandGroups() {
		if !strings.Contains(root.out, "\n"+group.Title+"\n") {
			t.Errorf("the root's help does not have the group %s", group.Title)
		}
	}
}

// What a command shows as an example can be typed: its flags are there.
func TestTheExamplesHaveFlagsThatThereAre(t *testing.T) {
	root := newRoot(nil, streams{}, func(string) string { return "" })
	shown := root.Example
	for _, command := range root.Commands() {
		shown += "\n" + command.Example
	}
	for _, example := range regexp.MustCompile(`(?m)^  ami-janitor (.*?)(?: *#.*| &)?$`).FindAllStringSubmatch(shown, -1) {
		words := strings.Fields(example[1])
		command, rest, err := root.Find(words)
		if err != nil || command == root {
			t.Errorf("%s: %v", example[1], err)
			continue
		}
		for _, word := range rest {
			name, isFlag := strings.CutPrefix(word, "--")
			if name, _, _ = strings.Cut(name, "="); isFlag && command.Flags().Lookup(name) == nil {
				t.Errorf("%s: no flag %s", example[1], word)
			}
		}
	}
}

func TestEveryFlagOfASettingHasAGroup(t *testing.T) {
	for _, setting := range config.Settings() {
		if groupOf(setting.Variable) == "" && !setting.FunctionOnly {
			t.Errorf("the help has %s in no group: add it to flagGroups in help.go", setting.Variable)
		}
	}
}

func TestTheHelpOfEmulateLeadsTheAWSCLIThere(t *testing.T) {
	help := cli(t, nil, "emulate", "--help").out
	for _, word := range []string{"AWS_ENDPOINT_URL=http://127.0.0.1:", "AWS_REGION=", "AWS_DEFAULT_REGION=", "AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY=", "\n  aws ec2 "} {
		if !strings.Contains(help, word) {
			t.Errorf("it does not say %s", word)
		}
	}
}

func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if got := cli(t, nil, "completion", shell); got.status != 0 || !strings.Contains(got.out, "ami-janitor") {
			t.Errorf("%s: status %d, %q", shell, got.status, got.err)
		}
	}
	if got := cli(t, nil, "__complete", "plan", "--sta"); !strings.Contains(got.out, "--stack") || !strings.Contains(got.out, "--stale-after") {
		t.Errorf("%+v", got)
	}
	for typed, want := range map[string]string{
		"plan --output": "table\ntext\njson\ncsv\nmarkdown\n:4\n", "undo --output": "text\njson\n:4\n",
		"plan --show": "changes\nkept\norphans\nall\n:4\n", "sweep --sort": "age\nname\nowner\nreason\nsaving\nsize\n:4\n",
	} {
		if got := cli(t, nil, append([]string{"__complete"}, append(strings.Fields(typed), "")...)...); got.out != want {
			t.Errorf("%s is completed by %q, want %q", typed, got.out, want)
		}
	}
	if got := cli(t, nil, "__complete", "rehearse", "--reason", ""); !strings.Contains(got.out, "\nin-use\n") || !strings.HasSuffix(got.out, "\n:4\n") {
		t.Errorf("--reason is completed by %q", got.out)
	}
}

// What is mistyped is answered by what is meant, and nobody speaks an empty line.
func TestAMistypedCommand(t *testing.T) {
	const want = "ami-janitor: unknown command \"plam\" for \"ami-janitor\"\n\nami-janitor: Did you mean this?\n\tplan\n"
	if got := cli(t, nil, "plam"); got.status != exitUsage || got.err != want {
		t.Errorf("%+v", got)
	}
}

// A setting that is true or false is a flag like any other: without a value it is true.
func TestFlagsThatAreTrueOrFalse(t *testing.T) {
	for typed, want := range map[string]string{
		"--allow-shorter": "true", "--allow-shorter=true": "true", "--allow-shorter=false": "false", "--allow-shorter=TRUE": "true", "": "false",
	} {
		args := append([]string{"rehearse", "--now", nightly, "--dry-run", "--output", "json"}, strings.Fields(typed)...)
		if got := cli(t, []string{"ALLOW_SHORTER=false"}, args...).record(t).Policy["allowShorter"]; got != want {
			t.Errorf("%s: %s", typed, got)
		}
	}
	if got := cli(t, nil, "rehearse", "--allow-shorter=maybe", "--stale-after=3d"); got.status != exitUsage || !strings.Contains(got.err, `--allow-shorter: "maybe"`) || !strings.Contains(got.err, "--stale-after: ") {
		t.Errorf("%+v", got)
	}
	account := serving(t, asItIs)
	for typed, says := range map[string]string{
		"plan --require-recycle-bin true":                   "--require-recycle-bin=true",
		"plan --require-recycle-bin False --output json":    "--require-recycle-bin=false",
		"sweep --yes --delete-snapshots no":                 "--delete-snapshots=false",
		"sweep --dry-run false --yes":                       "--dry-run=false",
		"explain ami-0123456789abcdef0 --allow-shorter off": "--allow-shorter=false",
		"undo --list true":                                  "--list=true",
		"unmark ami-0123456789abcdef0 --allow-shorter 1":    "--allow-shorter=true",
	} {
		got := cli(t, nil, strings.Fields(typed)...)
		if got.status != exitUsage || got.out != "" || !strings.HasSuffix(got.err, ": type "+says+"\n") || len(account.Calls()) > 0 {
			t.Errorf("%s: %+v", typed, got)
		}
	}
	if got := cli(t, nil, "explain", "--allow-shorter", "--", "true"); got.status != exitRegionFailed || !strings.Contains(got.err, "the name true") {
		t.Errorf("an image may have that name: %+v", got)
	}
}

// --region and --profile take the place of AWS_REGION and AWS_PROFILE.
func TestWhichAccount(t *testing.T) {
	account := serving(t, asItIs)
	configuration := filepath.Join(t.TempDir(), "config")
	write(t, filepath.Dir(configuration), "config", "[profile prod]\nregion = us-east-1\naws_access_key_id = AKIAPROD\naws_secret_access_key = secret\n")
	t.Setenv("AWS_CONFIG_FILE", configuration)
	t.Setenv("AWS_REGION", "eu-west-1")
	for _, args := range [][]string{
		{"plan", "--output=json", "--region", "us-east-1"},
		{"sweep", "--dry-run", "--output=json", "--region=us-east-1"},
		{"plan", "--output=json", "--region=eu-west-1", "--regions=us-east-1"},
	} {
		if got := cli(t, nil, args...).record(t); got.Regions[0].Region != "us-east-1" || got.Totals.Images == 0 {
			t.Errorf("%v: %+v", args, got.Totals)
		}
	}
	if got := cli(t, []string{"REGIONS=eu-west-1"}, "plan", "--output=json", "--region=us-east-1").record(t); got.Regions[0].Region != "us-east-1" || len(got.Regions) != 1 {
		t.Errorf("a flag wins over a variable: %+v", got.Regions)
	}
	if got := cli(t, nil, "undo", "--list", "--region", "us-east-1"); got.status != 0 {
		t.Errorf("%+v", got)
	}
	t.Setenv("AWS_REGION", "")
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	if got := cli(t, nil, "plan", "--output=json", "--profile=prod").record(t); got.Regions[0].Region != "us-east-1" || got.Totals.Images == 0 {
		t.Errorf("%+v", got.Totals)
	}
	before := len(account.Calls())
	for typed, says := range map[string]string{
		"plan --profile=staging":                      `--profile: the AWS configuration has no profile "staging"; aws configure list-profiles`,
		"unmark ami-0123456789abcdef0 --profile=x":    `--profile: the AWS configuration has no profile "x"`,
		"plan --region=eu-west-1,us-east-1":           "--regions takes several",
		"explain x --profile=prod --account=" + "dir": "--profile is for the real account",
	} {
		if got := cli(t, nil, strings.Fields(typed)...); got.status != exitUsage || !strings.Contains(got.err, says) || got.out != "" {
			t.Errorf("%s: %+v", typed, got)
		}
	}
	t.Setenv("AWS_PROFILE", "gone")
	if got := cli(t, nil, "plan"); got.status != exitUsage || !strings.Contains(got.err, `AWS_PROFILE: the AWS configuration has no profile "gone"`) {
		t.Errorf("%+v", got)
	}
	if len(account.Calls()) != before {
		t.Error("the account was asked")
	}
}

func TestTheRegionOfACopy(t *testing.T) {
	dir := directory(t)
	if err := os.Remove(filepath.Join(dir, "describe-regions.json")); err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	got := cli(t, []string{"AWS_REGION=eu-west-1"}, "explain", "render-node-bundle", "--account", dir, "--now", nightly, "--region", "us-east-1", "--output=json")
	if e := got.explanations(t); len(e) != 1 || e[0].Region != "us-east-1" {
		t.Errorf("%+v", got)
	}
}
