package retention_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// listed says which of the images, given as "id name", a keep list keeps.
func listed(list retention.KeepList, images ...[2]string) []bool {
	here := inventory(region)
	for _, image := range images {
		here.Images = append(here.Images, idle(image[0], named(image[1])))
	}
	p := policy(func(p *retention.Policy) { p.KeepList, p.KeepNewest = list, 0 })
	got := verdicts(p.Open([]ami.Inventory{here}, now).Plan(unused(here)))
	kept := make([]bool, len(images))
	for i, image := range images {
		kept[i] = slices.Contains(codes(got[image[0]]), "keep-list")
	}
	return kept
}

// Three images, and which of them each list keeps.
func TestKeepLists(t *testing.T) {
	images := [][2]string{{"ami-0123456789abcdef0", "web-1"}, {"ami-12345678", "web (old) [2]"}, {"ami-0fedcba9876543210", "it's a/b@c_d.e"}}
	for name, test := range map[string]struct {
		text string
		want []int
	}{
		"an_id":                             {"ami-0123456789abcdef0", []int{0}},
		"an_id_of_the_old_kind":             {"ami-12345678", []int{1}},
		"a_name":                            {"web-1", []int{0}},
		"a_name_with_blanks":                {"web (old) [2]", []int{1}},
		"a_name_with_all_that_is_allowed":   {"it's a/b@c_d.e", []int{2}},
		"two_lines":                         {"web-1\nami-12345678", []int{0, 1}},
		"two_with_a_comma":                  {"web-1,ami-12345678", []int{0, 1}},
		"commas_and_lines":                  {"nothing, web-1\n,ami-12345678,,\n\n", []int{0, 1}},
		"blanks_around":                     {"  web-1  \n\tami-12345678\t", []int{0, 1}},
		"lines_of_windows":                  {"web-1\r\nami-12345678\r\n", []int{0, 1}},
		"a_byte_order_mark":                 {"\ufeffweb-1\nami-12345678", []int{0, 1}},
		"a_byte_order_mark_before_comments": {"\ufeff# all\r\nweb-1", []int{0}},
		"comments":                          {"# web (old) [2]\nweb-1 # ami-12345678\n#", []int{0}},
		"a_comment_after_a_comma":           {"web-1, # ami-12345678", []int{0}},
		"a_comment_without_a_blank":         {"web-1#ami-12345678", []int{0}},
		"globs":                             {"web-?\n*[2]", []int{0, 1}},
		"a_glob_for_ids":                    {"ami-0*", []int{0, 2}},
		"all":                               {"*", []int{0, 1, 2}},
		"a_star_in_the_middle":              {"it*e", []int{2}},
		"brackets_are_no_class":             {"web ?old? [1-9]", nil},
		"a_dot_is_a_dot":                    {"it's a/b@c.d.e", nil},
		"cases_are_told_apart":              {"WEB-1", nil},
		"a_part_is_not_the_whole":           {"eb-1\nweb-\nami-0fedcba*1", nil},
		"a_json_array":                      {`["web-1", "ami-12345678"]`, []int{0, 1}},
		"a_json_array_with_blanks_around":   {" \n [\"web-1\"]\r\n", []int{0}},
		"a_json_array_on_lines":             {"[\"web-1\",\n \"ami-12345678\"\n]", []int{0, 1}},
		"a_json_array_with_escapes":         {`["web\u002d1"]`, []int{0}},
		"a_name_in_a_closing_bracket":       {"]x\nweb-1", []int{0}},
		"as_the_aws_cli_and_jq_write_it":    {"[\n    \"ami-0123456789abcdef0\",\n    \"ami-12345678\"\n]\n", []int{0, 1}},
		"a_json_array_after_a_mark":         {"\ufeff[\"ami-0123456789abcdef0\", \"ami-12345678\"]", []int{0, 1}},
		"a_json_array_with_a_blank":         {`[ "ami-0123456789abcdef0", "ami-12345678" ]`, []int{0, 1}},
		"a_json_array_with_a_tab":           {"[\t\"web-1\"\t]", []int{0}},
		"blanks_in_a_json_array":            {`[" ami-0123456789abcdef0", "ami-12345678 ", "\tit's a/b@c_d.e"]`, []int{0, 1, 2}},
		"a_bracket_alone_of_an_array":       {"[\nami-0123456789abcdef0,\nami-12345678\n]", []int{0, 1}},
		"ids_in_single_quotes":              {"'ami-0123456789abcdef0'\n'ami-12345678'", []int{0, 1}},
		"ids_in_another_case":               {"AMI-0123456789ABCDEF0\nAMI-12345678", []int{0, 1}},
		"digits_in_another_case":            {"ami-0123456789ABCDEF0\nami-12345678", []int{0, 1}},
		"ids_in_another_case_in_json":       {`["AMI-0123456789abcdef0"]`, []int{0}},
		"a_list_of_yaml":                    {"- ami-0123456789abcdef0\n- ami-12345678", []int{0, 1}},
		"a_list_of_markdown":                {"* ami-0123456789abcdef0\n* ami-12345678", []int{0, 1}},
		"ids_with_blanks_between":           {"ami-0123456789abcdef0 ami-12345678", []int{0, 1}},
		"ids_and_what_they_are":             {"ami-0123456789abcdef0 web-1\nami-12345678 (the old one)", []int{0, 1}},
		"what_they_are_and_ids":             {"web-7 [ami-0123456789abcdef0]\nthe old one/ami-12345678", []int{0, 1}},
		"ids_with_a_full_stop":              {"ami-0123456789abcdef0.\nami-12345678.", []int{0, 1}},
		"an_id_in_a_glob":                   {"*/ami-0123456789abcdef0", []int{0}},
		"a_name_with_an_id_keeps_the_name":  {"web-1 of ami-12345678\nit's a/b@c_d.e", []int{1, 2}},
		"a_name_with_some_digits":           {"web-ami-1\nmy ami-web\nbase-ami-202401011200\nweb-1", []int{0}},
		"the_last_line_has_no_end":          {"x\ny\nweb-1", []int{0}},
		"a_thousand_others":                 {strings.Repeat("nothing\n", 1000) + "web-1", []int{0}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []int
			for i, kept := range listed(keepList(t, test.text), images...) {
				if kept {
					got = append(got, i)
				}
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("keeps %v, want %v", got, test.want)
			}
		})
	}
}

// An entry that cannot be understood, and a list that names nothing, is an error that quotes it.
func TestKeepListsThatAreRefused(t *testing.T) {
	for name, test := range map[string]struct{ text, says string }{
		"nothing":                     {"", "names nothing"},
		"blanks":                      {" \r\n\t\n", "names nothing"},
		"a_byte_order_mark_alone":     {"\ufeff", "names nothing"},
		"comments_alone":              {"# web-1\n  # web-2", "names nothing"},
		"commas_alone":                {",\n,,", "names nothing"},
		"an_id_cut_short":             {"ami-0123456789abcde", `"ami-0123456789abcde"`},
		"an_id_cut_to_its_prefix":     {"web-1\nami-", `"ami-"`},
		"an_id_of_nine_digits":        {"ami-123456789", `"ami-123456789"`},
		"an_id_of_seven_digits":       {"ami-1234567", `"ami-1234567"`},
		"an_id_that_is_too_long":      {"ami-0123456789abcdef01", `"ami-0123456789abcdef01"`},
		"an_empty_array":              {"[]", "names nothing"},
		"an_empty_array_with_a_blank": {"[ ]", "names nothing"},
		"an_empty_array_on_lines":     {"\ufeff [\n]\n", "names nothing"},
		"an_array_that_only_begins":   {"[", "not a JSON array of strings"},
		"an_array_of_blanks":          {`["web-1", " "]`, `""`},
		"an_id_cut_short_in_capitals": {"AMI-0123456789ABCDE", `"AMI-0123456789ABCDE"`},
		"an_id_cut_short_in_an_array": {`[" ami-0123456789abcde "]`, `"ami-0123456789abcde"`},
		"an_id_cut_short_in_yaml":     {"- ami-0123456789abcde\n- ami-12345678", "ami-0123456789abcde"},
		"an_id_cut_short_and_a_name":  {"ami-0123456789abcde (the old one)", "ami-0123456789abcde"},
		"an_id_too_long_in_yaml":      {"- ami-0123456789abcdef01", "ami-0123456789abcdef01"},
		"the_second_id_is_cut_short":  {"ami-0123456789abcdef0 ami-0123456789abcde", `"ami-0123456789abcde"`},
		"a_cut_id_behind_a_wildcard":  {"web*ami-0123456789abcde", `"ami-0123456789abcde"`},
		"a_cut_id_behind_a_star":      {"*ami-0123456789abcde", `"ami-0123456789abcde"`},
		"an_id_in_quotes":             {`"ami-0123456789abcdef0"`, "neither the id of an image nor a glob"},
		"ids_with_a_tab_between":      {"ami-0123456789abcdef0\tami-12345678", "neither"},
		"ids_with_a_semicolon":        {"ami-0123456789abcdef0;ami-12345678", "neither"},
		"an_arn":                      {"arn:aws:ec2:eu-west-1::image/ami-0123456789abcdef0", "neither"},
		"a_mapping":                   {"keep: ami-0123456789abcdef0", "neither"},
		"a_letter_no_name_has":        {"wéb", "neither"},
		"another_kind_of_dash":        {"web–1", "neither"},
		"a_backslash":                 {`web\-1`, "neither"},
		"a_negation":                  {"!web-1", "neither"},
		"what_is_not_text":            {"web\x00", "neither"},
		"what_is_not_utf_8":           {"\xff\xfew\x00e\x00b\x00", "neither"},
		"an_object":                   {`{"keep": ["web-1"]}`, "neither"},
		"a_json_array_cut_short":      {`["web-1", "web-2`, "not a JSON array of strings"},
		"a_json_array_of_all_kinds":   {`["web-1", 2]`, "not a JSON array of strings"},
		"a_json_array_and_more":       {`["web-1"] ["web-2"]`, "not a JSON array of strings"},
		"a_json_array_of_empty":       {`["web-1", ""]`, `""`},
		"a_json_array_of_null":        {`["web-1", null]`, `""`},
		"a_json_array_of_a_list":      {`["web-1,web-2"]`, `"web-1,web-2"`},
		"a_json_array_with_a_comment": {`["web-1 # old"]`, `"web-1 # old"`},
		"a_json_array_of_cut_ids":     {`["ami-0123"]`, `"ami-0123"`},
		"a_byte_order_mark_inside":    {"web-1\n\ufeffweb-2", "neither"},
		"lines_of_old_macs":           {"web-1\rweb-2", "neither"},
	} {
		t.Run(name, func(t *testing.T) {
			list, err := retention.ParseKeepList(test.text)
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("error %v, want one that says %q", err, test.says)
			}
			if kept := listed(list, [2]string{"ami-0123456789abcdef0", "web-1"}); kept[0] {
				t.Error("what comes with an error keeps an image all the same")
			}
		})
	}
}

// Without a list nothing is on it.
func TestNoKeepList(t *testing.T) {
	if listed(retention.KeepList{}, [2]string{"", ""})[0] {
		t.Error("an image is on no list")
	}
}

// anyEntry is something that a person would write into a keep list.
var anyEntry = rapid.Custom(func(t *rapid.T) string {
	switch rapid.IntRange(0, 3).Draw(t, "kind") {
	case 0:
		return "ami-" + rapid.StringMatching(`[0-9a-f]{17}`).Draw(t, "id")
	case 1:
		return "ami-" + rapid.StringMatching(`[0-9a-f]{8}`).Draw(t, "old id")
	case 2:
		return rapid.StringMatching(`[a-z()\[\]/'@_.][a-z .]{0,3}[a-z]-[0-9]{1,2}`).Draw(t, "name")
	default:
		return rapid.StringMatching(`[a-z*?]{1,4}-[*?0-9]{1,2}`).Draw(t, "glob")
	}
})

// However a list is laid out, it keeps what its entries name, and nothing else.
func TestTheLayoutOfAKeepListNeverMatters(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		entries := rapid.SliceOfN(anyEntry, 1, 6).Draw(t, "entries")
		var text string
		if rapid.IntRange(0, 3).Draw(t, "json") == 0 {
			array, err := json.Marshal(entries)
			if err != nil {
				t.Fatal(err)
			}
			text = string(array)
		} else {
			end := rapid.SampledFrom([]string{"\n", "\r\n"}).Draw(t, "end")
			between := rapid.SampledFrom([]string{end, end, ",", " , ", end + end, " # ami-00000000" + end, end + "# *" + end})
			text = rapid.SampledFrom([]string{"", "\ufeff", end, "# *" + end}).Draw(t, "begin")
			for _, entry := range entries {
				text += entry + between.Draw(t, "between")
			}
			text += rapid.SampledFrom([]string{"", "# *", end}).Draw(t, "rest")
		}
		list, err := retention.ParseKeepList(text)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		image := func(id, name string) [2]string { return [2]string{id, name} }
		images := [][2]string{image("ami-00000000", "a-1"), image("ami-0123456789abcdef0", "b-22")}
		for i, entry := range entries {
			filled := strings.NewReplacer("*", "xy", "?", "z").Replace(entry)
			images = append(images, image(fmt.Sprint("ami-by-name-", i), filled), image(filled, fmt.Sprint("by-id-", i)), image(entry+"0", "x"+entry))
		}
		for i, kept := range listed(list, uniqueByID(images)...) {
			image := uniqueByID(images)[i]
			want := slices.ContainsFunc(entries, func(entry string) bool {
				return meansImage(entry, image[0], image[1])
			})
			if kept != want {
				t.Errorf("%q keeps %q: %t, want %t", text, image, kept, want)
			}
		}
	})
}

var wholeID = regexp.MustCompile(`^ami-([0-9a-f]{17}|[0-9a-f]{8})$`)

// meansImage says whether an entry matches an image, or has its id in it, however it is written.
func meansImage(entry, id, name string) bool {
	if globMatches([]rune(entry), []rune(id)) || globMatches([]rune(entry), []rune(name)) {
		return true
	}
	for rest := strings.ToLower(entry); rest != ""; rest = rest[1:] {
		for _, length := range []int{21, 12} {
			if length <= len(rest) && wholeID.MatchString(rest[:length]) {
				if rest[:length] == id {
					return true
				}
				break // An id is not another one that it begins with.
			}
		}
	}
	return false
}

func uniqueByID(images [][2]string) [][2]string {
	var unique [][2]string
	for _, image := range images {
		if !slices.ContainsFunc(unique, func(other [2]string) bool { return other[0] == image[0] }) {
			unique = append(unique, image)
		}
	}
	return unique
}

// Any text is read or refused. A list keeps an image exactly if an entry that a reader sees names
// it, and no entry is lost.
func FuzzKeepList(f *testing.F) {
	for _, seed := range []string{
		"", "web-1", "ami-0123456789abcdef0\r\n# x\r\nweb-*", "\ufeffweb-1,web-2", `["web-1", "x"]`, `["web-1"`, "ami-012", "a # b\nc", "[a]", " [\"a\"] ", "*", "?", "[\n \"a\"\n]", "]a", "[]", "- AMI-0123456789ABCDEF0",
	} {
		f.Add(seed, "web-1")
	}
	f.Fuzz(func(t *testing.T, text, name string) {
		if len(text) > 100 || len(name) > 30 || strings.Count(text, "*") > 4 {
			t.Skip("the naive implementation takes too long")
		}
		list, err := retention.ParseKeepList(text)
		if err != nil {
			return
		}
		entries := readersEntries(text)
		if len(entries) == 0 {
			t.Fatalf("%q names nothing, and is no error", text)
		}
		const id = "ami-0123456789abcdef0"
		want := slices.ContainsFunc(entries, func(entry string) bool { return meansImage(entry, id, name) })
		if kept := listed(list, [2]string{id, name})[0]; kept != want {
			t.Errorf("%q keeps %q: %t, want %t", text, name, kept, want)
		}
		for _, entry := range entries {
			if !listed(list, [2]string{id, entry})[0] {
				t.Errorf("%q does not keep what is called %q", text, entry)
			}
		}
	})
}

// readersEntries is what a person reads in a keep list.
func readersEntries(text string) []string {
	text = strings.TrimPrefix(text, "\ufeff")
	var array, entries []string
	if !strings.HasPrefix(strings.TrimSpace(text), "[") || json.Unmarshal([]byte(text), &array) != nil {
		for line := range strings.SplitSeq(strings.ReplaceAll(text, "\r\n", "\n"), "\n") {
			line, _, _ = strings.Cut(line, "#")
			array = append(array, strings.Split(line, ",")...)
		}
	}
	for _, entry := range array {
		if entry = strings.TrimSpace(entry); entry != "" {
			entries = append(entries, entry)
		}
	}
	return entries
}
