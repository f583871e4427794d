package ami_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
)

var now = time.Date(2026, time.November, 23, 2, 0, 0, 0, time.UTC)

func TestNewRunID(t *testing.T) {
	id := ami.NewRunID(now.In(time.FixedZone("x", 3600)), bytes.NewReader([]byte{0x3f, 0x9c, 0x1a}))
	if id != "20261123T020000Z-3f9c1a" || !id.Valid() || !id.Began().Equal(now) {
		t.Errorf("%s, %t, %s", id, id.Valid(), id.Began())
	}
	if id := ami.NewRunID(now, failingReader{}); !strings.HasPrefix(string(id), "20261123T020000Z-") || !id.Valid() {
		t.Errorf("%s", id)
	}
}

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, errors.New("no randomness") }

// A key is made of valid ids alone. When a run began counts for any id that says it.
func TestRunID(t *testing.T) {
	for id, want := range map[ami.RunID]struct{ valid, began bool }{
		"20261123T020000Z-3f9c1a":       {true, true},
		"20261123T020000Z-x":            {true, true},
		"20261399T020000Z-3f9c1a":       {true, false},
		"20261123T020000Z":              {false, true},
		"20261123T020000Z-":             {false, true},
		"20261123T020000Z-3F9C1A":       {false, true},
		"20261123T020000Z-3f/../9c":     {false, true},
		"20261123T020000Z-3f9c1a team":  {false, true},
		" 20261123T020000Z-3f9c1a":      {false, false},
		"x20261123T020000Z-3f9c1a":      {false, false},
		"2026-11-23":                    {false, false},
		"run":                           {false, false},
		"":                              {false, false},
		"20261123T020000Z-3f9c1a\n":     {false, true},
		"20261123T020000Z-3f9c1a-again": {false, true},
	} {
		if id.Valid() != want.valid || id.Began().Equal(now) != want.began {
			t.Errorf("%q: %t, %s", string(id), id.Valid(), id.Began())
		}
	}
}
