package journal

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
)

// accountDocument says whose journal it is.
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
	Action  string    `json:"action"` // What was to be done to the image besides, as GRACE_ACTION has it.
}

// Intent is what a run means to do in a region.
type Intent struct {
	Policy    string // The name of the policy it goes by.
	Declared  []Declared
	Announced []Announced
}

// Declared is an image whose removal a run has declared.
type Declared struct {
	ImageID   string   `json:"imageId"`
	Snapshots []string `json:"snapshotIds"` // Those that are to go with exactly this image.
}

// attempted is the status of a removal that is about to be tried. Unless it is overwritten nobody knows what became of it.
const attempted ami.Status = "attempted"

// removalDocument is what a run has done about one image.
type removalDocument struct {
	Run             string               `json:"run"`
	Region          string               `json:"region"`
	ImageID         string               `json:"imageId"`
	Declared        []string             `json:"declaredSnapshotIds"`
	Status          ami.Status           `json:"status"`
	Error           string               `json:"error"`
	Refused         bool                 `json:"refused,omitzero"` // EC2 has refused.
	Snapshots       []ami.SnapshotResult `json:"snapshots"`
	RestorableUntil time.Time            `json:"restorableUntil,omitzero"`
}

// finishedDocument says that a snapshot which one run had left is deleted, and by which run.
type finishedDocument struct {
	Run        string `json:"run"`
	Region     string `json:"region"`
	ImageID    string `json:"imageId"`
	SnapshotID string `json:"snapshotId"`
	FinishedBy string `json:"finishedBy"`
}

// withdrawnDocument says that the announcement of one run is taken back, and by which run.
type withdrawnDocument struct {
	Run         string `json:"run"`
	Region      string `json:"region"`
	ImageID     string `json:"imageId"`
	WithdrawnBy string `json:"withdrawnBy"`
}

// markerDocument is for people: that it is there says everything.
type markerDocument struct {
	Run    string `json:"run"`
	Region string `json:"region"`
}

// lockDocument says which run is at work in a region, or was the last one.
type lockDocument struct {
	Run    string    `json:"run"`
	Region string    `json:"region"`
	Policy string    `json:"policy,omitempty"`
	At     time.Time `json:"at"`              // Of the last sign of life; to give the lock back is none.
	IsOver bool      `json:"isOver,omitzero"` // The run has given the lock back.

	// Nonce tells apart two processes with the same run, and a write of one's own whose answer was lost from that of another.
	Nonce string `json:"nonce"`
}

func encode(document any) ([]byte, error) {
	data, err := json.MarshalIndent(document, "", "  ")
	return append(data, '\n'), err
}

// notOf returns an error if a document names something else than its key does.
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

// checkDeclared returns an error if an id is none, or an image is declared twice.
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
	}
	return nil
}

// checkAnnounced returns an error if an id is none, an image is announced twice, or there is no moment at which its time of grace
// is over: the day on the image, which people may change, would be all that is left.
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

// checkStatus returns an error if a status is not one of a removal.
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
