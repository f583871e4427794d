package janitor_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/ami-janitor/ami-janitor/internal/disturb"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
)

func TestTheAliasOfTheAccount(t *testing.T) {
	for name, c := range map[string]struct {
		aliases []any
		want    string
	}{
		"none":    {[]any{}, ""},
		"one":     {[]any{"example-prod"}, "example-prod"},
		"hostile": {[]any{"prod\n<!channel>"}, ""},
		"two":     {[]any{"example-prod", "example-test"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := world{more: map[string]object{"iam-list-account-aliases.json": {"AccountAliases": c.aliases}}}
			if got := run(t, w.load(t).Client(), nil, true).AccountAlias; got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// TestAnAliasThatIsNotRead neither delays a run nor fails it.
func TestAnAliasThatIsNotRead(t *testing.T) {
	w := world{images: []object{image(1, 700, 0)}, more: map[string]object{"iam-list-account-aliases.json": {"AccountAliases": []any{"example-prod"}}}}
	for name, wrap := range map[string]func(emulator.Doer) emulator.Doer{
		"denied": func(next emulator.Doer) emulator.Doer { return disturb.Deny(next, "ListAccountAliases") },
		"no answer": func(next emulator.Doer) emulator.Doer {
			return on(next, func(q emulator.Request, _ int) bool { return q.Action == "ListAccountAliases" },
				func(_ emulator.Doer, r *http.Request) (*http.Response, error) {
					<-r.Context().Done()
					return nil, r.Context().Err()
				})
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				began := time.Now()
				r := run(inBubble{t}, wrap(w.load(t).Client()), nil, false)
				if r.AccountAlias != "" || r.Failed() || r.Totals.Deregistered != 1 || time.Since(began) > 5*time.Second {
					t.Errorf("%q, %v, %+v after %s", r.AccountAlias, r.Failed(), r.Totals, time.Since(began))
				}
			})
		})
	}
}
