package wire_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// A token that comes again, at once or later, leads to a page that was read. None, or an empty one,
// leads nowhere.
func TestTokens(t *testing.T) {
	for name, test := range map[string]struct {
		tokens []string
		fails  bool
	}{
		"all_different":      {[]string{"a", "b", "c", ""}, false},
		"empty_ones":         {[]string{"", ""}, false},
		"at_once":            {[]string{"a", "a"}, true},
		"round_two_pages":    {[]string{"a", "b", "a"}, true},
		"after_a_while":      {[]string{"a", "b", "c", "d", "b"}, true},
		"the_case_counts":    {[]string{"a", "A"}, false},
		"a_blank_is_a_token": {[]string{" ", " "}, true},
	} {
		t.Run(name, func(t *testing.T) {
			var seen wire.Tokens
			var err error
			for i, token := range test.tokens {
				if err != nil {
					t.Fatalf("token %d of %q: %v", i-1, test.tokens, err)
				}
				err = seen.See(aws.String(token))
			}
			if (err != nil) != test.fails {
				t.Errorf("%q: %v", test.tokens, err)
			}
			if err := seen.See(nil); err != nil {
				t.Errorf("no token: %v", err)
			}
		})
	}
}
