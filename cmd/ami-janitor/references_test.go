package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const named = "ami-0123456789abcdef0"

// checkout is a directory of sources. With git it is a work tree that tracks all but those that
// begin with "untracked".
func checkout(t *testing.T, withGit bool, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o750); err != nil {
			t.Fatal(err)
		}
		write(t, dir, name, content)
	}
	if withGit {
		git(t, dir, "init", "--quiet")
		git(t, dir, "add", "--force", "--", ".", ":!untracked*")
	}
	return dir
}

func git(t *testing.T, dir string, args ...string) {
	t.Helper()
	command := exec.CommandContext(t.Context(), "git", args...)
	command.Dir = dir
	command.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
}

var sources = map[string]string{
	"main.tf":              "locals {\n  ami = \"" + named + "\"\n}\n",
	"k8s/nodes.yaml":       "kind: EC2NodeClass\nspec:\n  amiSelectorTerms:\n  - name: golden-*\n    owner: self\n  - tags: {Team: web}\n",
	"packer-manifest.json": `{"builds": [{"artifact_id": "eu-west-1:ami-00000000000000009"}]}`,
	"untracked.tf":         "ami-00000000000000008",
	".gitignore":           "*.tf\n",
}

const header = "# A keep list, written by ami-janitor references.\n"

func TestReferences(t *testing.T) {
	tags := "# NOT IN THIS LIST: DIR/k8s/nodes.yaml:6 selects images by tags (Team), which no keep list can name\n"
	nodes, main := "golden-* # DIR/k8s/nodes.yaml:4\n", named+" # DIR/main.tf:2\n"
	for name, c := range map[string]struct {
		withGit bool
		below   string
		args    []string
		want    string
	}{
		"what git tracks":       {true, "", nil, tags + nodes + main},
		"without git":           {false, "", nil, tags + nodes + main + "ami-00000000000000008 # DIR/untracked.tf:1\n"},
		"a directory in a tree": {true, "k8s", nil, tags + nodes},
		"manifests, too":        {true, "", []string{"--packer-manifests"}, tags + nodes + main + "ami-00000000000000009 # DIR/packer-manifest.json:1\n"},
		"without some":          {true, "", []string{"--except", "*.tf", "--except=x"}, tags + nodes},
		"without a path":        {true, "", []string{"--except", "k8s/*.yaml"}, main},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(checkout(t, c.withGit, sources), c.below)
			got := cli(t, nil, append([]string{"references", dir}, c.args...)...)
			want := header + strings.ReplaceAll(strings.ReplaceAll(c.want, "DIR/"+c.below, "DIR"), "DIR", dir)
			if c.below == "" {
				want = header + strings.ReplaceAll(c.want, "DIR", dir)
			}
			if diff := cmp.Diff(want, got.out); got.status != 0 || diff != "" {
				t.Errorf("%d %s\n%s", got.status, got.err, diff)
			}
		})
	}
}

// What cannot be read, and an empty result, are refused, and nothing is written.
func TestReferencesThatAreNotAll(t *testing.T) {
	for name, c := range map[string]struct {
		files  map[string]string
		change func(t *testing.T, dir string)
		args   []string
		says   string
	}{
		"nothing is named": {files: map[string]string{"a": "b"}, says: "no image is named in 1 files"},
		"nothing is tracked": {files: map[string]string{"a": named}, change: func(t *testing.T, dir string) {
			git(t, dir, "rm", "-q", "--cached", "-r", ".")
		}, args: []string{"testdata"}, says: "has no file, or none that git tracks"},
		"no directory":        {files: map[string]string{"a": named}, args: []string{"/no/such/directory"}, says: "no such file"},
		"a file":              {files: map[string]string{"a": named}, args: []string{"/etc/passwd"}, says: "not a directory"},
		"a chart":             {files: map[string]string{"a": named, "b.yaml": "  amiSelectorTerms: {{ .Values.terms }}\n"}, says: "b.yaml:1: amiSelectorTerms"},
		"a tracked file gone": {files: map[string]string{"a": named, "b": "x"}, change: func(t *testing.T, dir string) { remove(t, dir, "b") }, says: "b: no such file"},
		"a link to outside": {files: map[string]string{"a": named}, change: func(t *testing.T, dir string) {
			if err := os.Symlink("/etc/hostname", filepath.Join(dir, "b")); err != nil {
				t.Fatal(err)
			}
			git(t, dir, "add", "b")
		}, says: "b: path escapes"},
		"a broken index":      {files: map[string]string{"a": named}, change: func(t *testing.T, dir string) { write(t, dir, ".git/index", "x") }, says: "git cannot list its files"},
		"a bad glob":          {files: map[string]string{"a": named}, args: []string{"--except", "["}, says: "--except"},
		"a prefix":            {files: map[string]string{"a": named}, args: []string{"--write", "s3://lists/keep/"}, says: "is a prefix"},
		"two locations":       {files: map[string]string{"a": named}, args: []string{"--write", "a.txt,b.txt"}, says: "more than one location"},
		"no location":         {files: map[string]string{"a": named}, args: []string{"--write", "s3://x"}, says: "--write"},
		"no place for a list": {files: map[string]string{"a": named}, args: []string{"--write", ","}, says: "--write"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := checkout(t, true, c.files)
			if c.change != nil {
				c.change(t, dir)
			}
			list := filepath.Join(t.TempDir(), "keep.txt")
			args := append([]string{"references", dir, "--write", list}, c.args...)
			got := cli(t, nil, args...)
			if got.status != 2 || got.out != "" || !strings.Contains(got.err, c.says) {
				t.Errorf("%+v does not say %q", got, c.says)
			}
			if _, err := os.Stat(list); err == nil {
				t.Error("a list was written")
			}
		})
	}
	if got := cli(t, nil, "references"); got.status != 2 {
		t.Errorf("%+v", got)
	}
}

func remove(t *testing.T, dir, name string) {
	t.Helper()
	if err := os.Remove(filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
}

// What is written is what KEEP_LIST reads: an image that sources name stays, wherever the list is.
func TestReferencesAreAKeepList(t *testing.T) {
	for name, location := range map[string]string{
		"a file": filepath.Join(t.TempDir(), "keep.txt"), "an object": "s3://lists/keep/web.txt", "a parameter": "ssm:/amis/keep", "a plain parameter": "ssm:keep",
		"by ARN": "arn:aws:ssm:us-east-1:123456789012:parameter/amis/keep", "a plain one by ARN": "arn:aws:ssm:us-east-1:123456789012:parameter/keep",
	} {
		t.Run(name, func(t *testing.T) {
			account := serving(t, asItIs)
			image := stalest(t)
			dir := checkout(t, true, map[string]string{"main.tf": "ami = \"" + image.ImageID + "\"\n", "x.yaml": "amiSelectorTerms:\n- name: of-nobody-*\n"})
			for range 2 { // The second list takes the place of the first.
				if got := cli(t, nil, "references", dir, "--write", location); got.status != 0 || got.out != "" || !strings.Contains(got.err, "2 references in 2 files are in "+location) {
					t.Fatalf("%+v", got)
				}
			}
			read := []string{location}
			if prefix, _, isObject := strings.Cut(location, "web.txt"); isObject {
				read = append(read, prefix)
				if got := cli(t, nil, "references", checkout(t, true, map[string]string{"a": "b"}), "--write", prefix+"none.txt", "--allow-empty"); got.status != 0 {
					t.Fatalf("%+v", got)
				}
			}
			for _, from := range read {
				kept := verdictOn(t, image.ImageID, "plan", "--keep-list", from, "--keep-list-max-age=7d")
				if kept.Verdict != "keep" || kept.Reasons[0].Code != "keep-list" {
					t.Errorf("%s: %+v", from, kept)
				}
			}
			if strings.HasPrefix(location, "s3:") && len(account.Objects("lists")) != 2 {
				t.Errorf("%v", account.Objects("lists"))
			}
		})
	}
}

// A list that cannot be written is a failure, and an empty one by itself keeps no run from failing.
func TestReferencesThatCannotBeWritten(t *testing.T) {
	serving(t, denying("PutObject", "PutParameter"))
	dir := checkout(t, false, map[string]string{"a": named})
	for _, location := range []string{"s3://lists/keep.txt", "ssm:/amis/keep", "/no/such/directory/keep.txt"} {
		if got := cli(t, nil, "references", dir, "--write", location); got.status != 1 || !strings.Contains(got.err, location+" was not written: ") {
			t.Errorf("%+v", got)
		}
	}
	list := filepath.Join(t.TempDir(), "keep.txt")
	if got := cli(t, nil, "references", checkout(t, false, map[string]string{"a": "b"}), "--write", list, "--allow-empty"); got.status != 0 {
		t.Errorf("%+v", got)
	}
	if got := cli(t, nil, "plan", "--keep-list", list); got.status != 1 || !strings.Contains(got.out+got.err, "it names nothing") {
		t.Errorf("%+v", got)
	}
}
