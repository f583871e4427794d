package ami_test

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
)

// pieces is a reader that returns a text in pieces of some sizes, again and again.
type pieces struct {
	text  string
	sizes []int
	n     int
}

func (p *pieces) Read(into []byte) (int, error) {
	if p.text == "" {
		return 0, io.EOF
	}
	size := min(p.sizes[p.n%len(p.sizes)], len(p.text), len(into))
	p.n++
	copy(into, p.text[:size])
	p.text = p.text[size:]
	return size, nil
}

func found(t testing.TB, text io.Reader) []string {
	t.Helper()
	var ids []string
	if err := ami.FindIDs(text, func(id string, line int) { ids = append(ids, fmt.Sprint(line, " ", id)) }); err != nil {
		t.Error(err)
	}
	return ids
}

func TestFindIDs(t *testing.T) {
	const id = "ami-0123456789abcdef0"
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"nothing":             {"", nil},
		"too short":           {"ami", nil},
		"almost":              {"ami-", nil},
		"alone":               {id, []string{"1 " + id}},
		"in other text":       {"image_id = \"" + id + "\"\n", []string{"1 " + id}},
		"of the old kind":     {"x: ami-12345678\n", []string{"1 ami-12345678"}},
		"too short for an id": {"ami-1234567", nil},
		"shortened":           {"ami-0123456789abcdef", []string{"1 ami-01234567"}},
		"too long":            {id + "ff", []string{"1 " + id}},
		"in capitals":         {"AMI-0123456789ABCDEF0", []string{"1 " + id}},
		"one after the other": {id + id + "ami-12345678" + id, []string{"1 " + id, "1 " + id, "1 ami-12345678", "1 " + id}},
		"behind letters":      {"my-ami-12345678-copy", []string{"1 ami-12345678"}},
		"in several lines":    {"a\n" + id + "\r\n\n-" + id, []string{"2 " + id, "4 " + id}},
		"of other letters":    {"ami-0123456z89abcdef0", nil},
		"between zero bytes":  {"\x00" + id + "\x00", []string{"1 " + id}},
	} {
		if diff := cmp.Diff(c.want, found(t, strings.NewReader(c.text))); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
}

// An id is found wherever reads and windows end, once, and in its line.
func TestIDsAcrossReads(t *testing.T) {
	for prefixes, find := range map[string]func(io.Reader, func(string, int)) error{"ami": ami.FindIDs, "(?:ami|snap)": ami.FindAllIDs} {
		t.Run(prefixes, func(t *testing.T) { checkIDsAcrossReads(t, prefixes, find) })
	}
}

func checkIDsAcrossReads(t *testing.T, prefixes string, find func(io.Reader, func(string, int)) error) {
	pattern := regexp.MustCompile(`(?i)` + prefixes + `-(?:[0-9a-f]{17}|[0-9a-f]{8})`)
	rapid.Check(t, func(t *rapid.T) {
		var text strings.Builder
		for range rapid.IntRange(0, 6).Draw(t, "parts") {
			filler := rapid.SampledFrom([]string{"x", "-", "\n", "am", "ami-0", "ami-0123456789abcdef0", "ami-1234567", "ami-12345678", "sn", "snap-", "snap-0123456789abcdef0", "snap-12345678", "0a"}).Draw(t, "filler")
			text.WriteString(strings.Repeat(filler, rapid.IntRange(1, 7000).Draw(t, "times")))
		}
		var want []string
		line := 1
		for rest := text.String(); ; {
			// Not all at once, because what looks like ids may overlap.
			at := pattern.FindStringIndex(rest)
			if at == nil {
				break
			}
			line += strings.Count(rest[:at[0]], "\n")
			want = append(want, fmt.Sprint(line, " ", rest[at[0]:at[1]]))
			rest = rest[at[0]+1:]
		}
		var got []string
		reader := &pieces{text: text.String(), sizes: rapid.SliceOfN(rapid.IntRange(1, 90_000), 1, 5).Draw(t, "sizes")}
		if err := find(reader, func(id string, line int) { got = append(got, fmt.Sprint(line, " ", id)) }); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%d bytes:\n%.2000s", text.Len(), diff)
		}
	})
}

func TestTextThatCannotBeReadToItsEnd(t *testing.T) {
	const id = "ami-0123456789abcdef0"
	cut := errors.New("cut")
	var ids []string
	err := ami.FindIDs(io.MultiReader(strings.NewReader(id+"\n ami-"), iotest.ErrReader(cut)), func(id string, _ int) { ids = append(ids, id) })
	if !errors.Is(err, cut) || len(ids) != 1 {
		t.Errorf("%v, %v", ids, err)
	}
}
