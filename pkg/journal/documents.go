package journal

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
)

// accountDocument says to which account the journal belongs.
type accountDocument struct {
	Account string `json:"account"`
}

// planDocument is what a run declared for a region before its first write there.
type planDocument struct {
	Run      string     `json:"run"`
	Region   string     `json:"region"`
	Account  string     `json:"account"`
	At       time.Time  `json:"at"`
	Declared []Declared `json:"declared"`

	Policy    string      `json:"policy,omitempty"`
	Announced []Announced `json:"announced,omitempty"`
}

// Announced is an image whose removal a run was about to announce.
type Announced struct {
	ImageID string    `json:"imageId"`
	Due     time.Time `json:"due"`
	Action  string    `json:"action"` // What else was planned for the image, as in GRACE_ACTION.
}

// Intent is what a run plans to do in a region.
type Intent struct {
	Policy    string // The name of its policy.
	Declared  []Declared
	Announced []Announced
}

// Declared is an image whose removal a run has declared.
type Declared struct {
	ImageID   string   `json:"imageId"`
	Snapshots []string `json:"snapshotIds"` // Those to delete together with this image.

	Bundle *ami.Bundle `json:"bundle,omitempty"` // What to delete after it; nil for nothing.
}

// attempted is the status of a removal that is about to be tried. Unless it is overwritten, nobody
// knows how the removal ended.
const attempted ami.Status = "attempted"

// removalDocument is what a run did with one image.
type removalDocument struct {
	Run             string               `json:"run"`
	Region          string               `json:"region"`
	ImageID         string               `json:"imageId"`
	Declared        []string             `json:"declaredSnapshotIds"`
	Status          ami.Status           `json:"status"`
	Error           string               `json:"error"`
	Refused         bool                 `json:"refused,omitzero"` // EC2 refused.
	Snapshots       []ami.SnapshotResult `json:"snapshots"`
	RestorableUntil time.Time            `json:"restorableUntil,omitzero"`

	Bundle *bundleDocument `json:"bundle,omitempty"`
}

// leftoverDocument says that a leftover of one run was deleted, and by which run.
type leftoverDocument struct {
	Run        string `json:"run"`
	Region     string `json:"region"`
	ImageID    string `json:"imageId"`
	SnapshotID string `json:"snapshotId"`
	FinishedBy string `json:"finishedBy"`
}

// withdrawnDocument says that an announcement of one run was withdrawn, and by which run.
type withdrawnDocument struct {
	Run         string `json:"run"`
	Region      string `json:"region"`
	ImageID     string `json:"imageId"`
	WithdrawnBy string `json:"withdrawnBy"`
}

// markerDocument is for people: its existence is the information.
type markerDocument struct {
	Run    string `json:"run"`
	Region string `json:"region"`
}

// lockDocument says which run is at work in a region, or was last.
type lockDocument struct {
	Run    string `json:"run"`
	Region string `json:"region"`
	Policy string `json:"policy,omitempty"`
	// Of the last heartbeat. Releasing the lock does not change it.
	At     time.Time `json:"at"`
	IsOver bool      `json:"isOver,omitzero"` // The run released the lock.

	// Nonce distinguishes two processes with the same run id, and an own write with a lost answer
	// from a write of another process.
	Nonce string `json:"nonce"`
}

func encode(document any) ([]byte, error) {
	data, err := json.MarshalIndent(document, "", "  ")
	return append(data, '\n'), err
}

// notOf returns an error if a document names something else than its key.
func notOf(what, named, want string) error {
	if named == want {
		return nil
	}
	return fmt.Errorf("it names %s %q, and not %q", what, named, want)
}

func parseRecord(data []byte, run string) error {
	var record struct {
		Run string `json:"run"`
	}
	if err := json.Unmarshal(data, &record); err != nil {
		return err
	}
	return notOf("run", record.Run, run)
}

func parseAccount(data []byte) (string, error) {
	var document accountDocument
	if err := json.Unmarshal(data, &document); err != nil {
		return "", err
	}
	if document.Account == "" {
		return "", errors.New("it names no account")
	}
	return document.Account, nil
}

func parsePlan(data []byte, run, region string) (planDocument, error) {
	var plan planDocument
	if err := json.Unmarshal(data, &plan); err != nil {
		return planDocument{}, err
	}
	err := cmp.Or(
		notOf("run", plan.Run, run), notOf("region", plan.Region, region), checkDeclared(plan.Declared), checkAnnounced(plan.Announced),
	)
	if err != nil {
		return planDocument{}, err
	}
	if plan.Declared == nil {
		return planDocument{}, errors.New("it declares neither something nor nothing")
	}
	return plan, nil
}

// checkDeclared returns an error for an invalid id, and for an image that is declared twice.
func checkDeclared(declared []Declared) error {
	seen := make(map[string]bool, len(declared))
	for _, d := range declared {
		if err := checkImage(d.ImageID); err != nil {
			return err
		}
		if seen[d.ImageID] {
			return fmt.Errorf("%s is declared twice", d.ImageID)
		}
		seen[d.ImageID] = true
		if err := checkSnapshots(d.Snapshots); err != nil {
			return err
		}
		if d.Bundle != nil {
			if err := d.Bundle.Check(); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkAnnounced returns an error for an invalid id, for an image that is announced twice, and for
// a missing due time: without it, only the day on the image would be known, which people may
// change.
func checkAnnounced(announced []Announced) error {
	seen := make(map[string]bool, len(announced))
	for _, a := range announced {
		if err := checkImage(a.ImageID); err != nil {
			return err
		}
		if seen[a.ImageID] {
			return fmt.Errorf("%s is announced twice", a.ImageID)
		}
		seen[a.ImageID] = true
		if a.Due.IsZero() {
			return fmt.Errorf("%s is announced for no day", a.ImageID)
		}
	}
	return nil
}

func checkSnapshots(ids []string) error {
	for _, id := range ids {
		if err := checkSnapshot(id); err != nil {
			return err
		}
	}
	return nil
}

func parseRemoval(data []byte, region, image, run string) (removalDocument, error) {
	var document removalDocument
	if err := json.Unmarshal(data, &document); err != nil {
		return removalDocument{}, err
	}
	err := cmp.Or(
		notOf("run", document.Run, run), notOf("region", document.Region, region), notOf("image", document.ImageID, image),
		checkStatus(document.Status), checkSnapshots(document.Declared),
	)
	if err != nil {
		return removalDocument{}, err
	}
	return document, nil
}

// checkStatus returns an error if a status is not that of a removal.
func checkStatus(status ami.Status) error {
	switch status {
	case attempted, ami.Deregistered, ami.Failed, ami.Skipped:
		return nil
	default:
		return fmt.Errorf("%q is not what becomes of a removal", status)
	}
}

func parseLock(data []byte, region string) (lockDocument, error) {
	var lock lockDocument
	if err := json.Unmarshal(data, &lock); err != nil {
		return lockDocument{}, err
	}
	if err := cmp.Or(checkRun(lock.Run), notOf("region", lock.Region, region)); err != nil {
		return lockDocument{}, err
	}
	if lock.At.IsZero() {
		return lockDocument{}, errors.New("it does not say since when")
	}
	return lock, nil
}
