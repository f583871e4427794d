package references_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ami-janitor/ami-janitor/pkg/references"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

const (
	id    = "ami-0123456789abcdef0"
	other = "ami-00000000000000002"
)

const nodeClass = `apiVersion: karpenter.k8s.aws/v1
kind: EC2NodeClass
metadata:
  name: default
spec:
  amiSelectorTerms:
    # The newest of these.
    - name: golden-eks-*
      owner: self

    - id: ami-0123456789abcdef0
    - alias: al2023@latest
    - ssmParameter: /golden/web
    - name: amazon-eks-node-*
      owner: amazon
    - tags:
        karpenter.sh/discovery: prod
        Team: "*"
  role: node
`

func TestWhatFilesSayOfImages(t *testing.T) {
	for name, c := range map[string]struct {
		file, content     string
		want              []string // Entry and line.
		notListed, unread []string
	}{
		"Terraform":       {"main.tf", "resource \"x\" \"y\" {\n  ami = \"" + id + "\" # was " + other + "\n}\n", []string{id + " 2", other + " 2"}, nil, nil},
		"Packer":          {"web.pkr.hcl", "source_ami = \"" + id + "\"\n", []string{id + " 1"}, nil, nil},
		"CDK":             {"cdk.context.json", `{"ami:account=123456789012:filters.name.0=golden-*:region=eu-west-1": "` + id + `"}`, []string{id + " 1"}, nil, nil},
		"twice in a line": {"x", id + " " + id + "\n" + id, []string{id + " 1", id + " 2"}, nil, nil},
		"Karpenter": {
			"nodes.yaml", nodeClass,
			[]string{"golden-eks-* 8", id + " 11"},
			[]string{"nodes.yaml:16 selects images by tags (Team, karpenter.sh/discovery), which no keep list can name"},
			nil,
		},
		"several documents":   {"x.yaml", "a: 1\n---\nspec:\n  amiSelectorTerms:\n  - name: a-*\n---\nspec:\n  amiSelectorTerms: [{name: b-*}]\n", []string{"a-* 5", "b-* 8"}, nil, nil},
		"JSON":                {"x.json", "{\"spec\": {\"amiSelectorTerms\": [\n  {\"name\": \"a]-*\"}, {\"id\": \"" + id + "\"}\n]}}", []string{"a]-* 2", id + " 2"}, nil, nil},
		"JSON in one line":    {"x.json", `{"a":{"amiSelectorTerms":[{"name":"a-*"}],"b":1}}`, []string{"a-* 1"}, nil, nil},
		"a text in Terraform": {"nodes.tf", "yaml_body = <<-YAML\n    spec:\n      amiSelectorTerms:\n        - name: a-*\n      role: x\n  YAML\n", []string{"a-* 4"}, nil, nil},
		"an id in capitals":   {"x.yaml", "amiSelectorTerms:\n- id: AMI-0123456789ABCDEF0\n", []string{id + " 2"}, nil, nil},
		"no terms":            {"x.yaml", "amiSelectorTerms: []\n---\namiSelectorTerms:\n---\namiSelectorTerms: null\n", nil, nil, nil},
		"prose":               {"README.md", "Set `amiSelectorTerms`: it selects.\nspec.amiSelectorTerms: see there.\n# amiSelectorTerms: x\n  // amiSelectorTerms = 1\n", nil, nil, nil},
		"the definition":      {"crd.yaml", "properties:\n  amiSelectorTerms:\n    description: |-\n      AMISelectorTerms is a list.\n    items:\n      type: object\n", nil, nil, nil},
		"a chart":             {"t/x.yaml", "spec:\n  amiSelectorTerms:\n    {{- toYaml .Values.terms | nindent 4 }}\n", nil, nil, []string{"t/x.yaml:2: amiSelectorTerms are not YAML or JSON by themselves"}},
		"a part of a chart":   {"x.yaml", "spec:\n  amiSelectorTerms:\n    - name: a-*\n{{- if .Values.x }}\n    - name: b-*\n{{- end }}\n", nil, nil, []string{"x.yaml:2: amiSelectorTerms are not YAML or JSON by themselves"}},
		"a value of a chart":  {"x.yaml", "spec:\n  amiSelectorTerms:\n    - name: \"{{ .Values.name }}\"\n", nil, nil, []string{`x.yaml:3: amiSelectorTerms have "{{ .Values.name }}" as name, which no image can have`}},
		"a variable":          {"x.tf", "  amiSelectorTerms:\n    - name: ${var.name}-*\n", nil, nil, []string{`x.tf:2: amiSelectorTerms have "${var.name}-*" as name, which no image can have`}},
		"HCL":                 {"x.tf", "spec = {\n  amiSelectorTerms = [{ name = \"a-*\" }]\n}\n", nil, nil, []string{"x.tf:2: amiSelectorTerms are written in another language than YAML or JSON"}},
		"a scalar":            {"x.yaml", "amiSelectorTerms: golden\n", nil, nil, []string{"x.yaml:1: amiSelectorTerms are no list of terms"}},
		"a list of scalars":   {"x.yaml", "amiSelectorTerms:\n- golden\n", nil, nil, []string{"x.yaml:1: amiSelectorTerms are no list of terms"}},
		"without an end":      {"x.json", `{"amiSelectorTerms": [{"name": "a-*"`, nil, nil, []string{"x.json:1: amiSelectorTerms are not YAML or JSON by themselves"}},
		"an alias":            {"x.yaml", "amiSelectorTerms: *terms\n", nil, nil, []string{"x.yaml:1: amiSelectorTerms are not YAML or JSON by themselves"}},
		"an odd name": {"x.yaml", "amiSelectorTerms:\n- name: a,b\n- name:\n- id: ami-123\n- name: [a]\n", nil, nil, []string{
			`x.yaml:2: amiSelectorTerms have "a,b" as name, which no image can have`, `x.yaml:3: amiSelectorTerms have "" as name, which no image can have`,
			`x.yaml:4: amiSelectorTerms have "ami-123" as id, which no image can have`, `x.yaml:5: amiSelectorTerms have "" as name, which no image can have`,
		}},
		"nothing": {"x", "nothing of that kind", nil, nil, nil},
		"UTF-16":  {"vars.tf", "\xff\xfe\n\x00" + strings.Join(strings.Split(id, ""), "\x00") + "\x00", []string{id + " 2"}, nil, nil},
		"bytes":   {"x.bin", "\x00\xff" + id + "\x00", []string{id + " 1"}, nil, nil},
	} {
		var found references.Found
		found.Add(c.file, []byte(c.content))
		var got []string
		for _, r := range found.References {
			if r.At.File != c.file {
				t.Errorf("%s: %+v", name, r)
			}
			got = append(got, fmt.Sprint(r.Entry, " ", r.At.Line))
		}
		if diff := cmp.Diff(asSet(c.want), asSet(got)); diff != "" {
			t.Errorf("%s: references:\n%s", name, diff)
		}
		if diff := cmp.Diff(c.notListed, found.NotListed); diff != "" {
			t.Errorf("%s: not listed:\n%s", name, diff)
		}
		if diff := cmp.Diff(c.unread, found.Unread); diff != "" {
			t.Errorf("%s: unread:\n%s", name, diff)
		}
	}
}

func asSet(texts []string) map[string]int {
	set := map[string]int{}
	for _, text := range texts {
		set[text]++
	}
	return set
}

// A list is read as it is meant, whatever a file is called.
func TestTheKeepList(t *testing.T) {
	var found references.Found
	found.Add("z.tf", []byte(other+"\n"+id))
	found.Add("a\nb,*\x1b[31m.tf", []byte(id))
	found.Add("nodes.yaml", []byte(nodeClass))
	want := "# A keep list, written by ami-janitor references.\n" +
		"# NOT IN THIS LIST: nodes.yaml:16 selects images by tags (Team, karpenter.sh/discovery), which no keep list can name\n" +
		id + " # a\ufffdb,*\ufffd[31m.tf:1\n" +
		"golden-eks-* # nodes.yaml:8\n" + id + " # nodes.yaml:11\n" +
		other + " # z.tf:1\n" + id + " # z.tf:2\n"
	if diff := cmp.Diff(want, found.KeepList()); diff != "" {
		t.Error(diff)
	}
	for _, text := range []string{found.KeepList(), found.ShortList()} {
		if list, err := retention.ParseKeepList(text); err != nil || list.IsEmpty() || retention.IsEmptyOnPurpose(text) {
			t.Errorf("%v:\n%s", err, text)
		}
	}
	if n := strings.Count(found.ShortList(), id); n != 1 {
		t.Errorf("%d times:\n%s", n, found.ShortList())
	}
	var none references.Found
	if text := none.KeepList(); !retention.IsEmptyOnPurpose(text) {
		t.Error(text)
	}
}
