package journal

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
)

const orphansPrefix = "orphans/"

// orphansKey is for what a policy has seen of snapshots without their images.
func orphansKey(region, policy string) string { return orphansPrefix + region + "/" + policy + suffix }

// policyName is the form of POLICY_NAME.
var policyName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$`)

func checkPolicy(policy string) error {
	if !policyName.MatchString(policy) {
		return fmt.Errorf("%q is not the name of a policy", policy)
	}
	return nil
}

// orphansDocument says which snapshots of a region a policy has seen without their images.
type orphansDocument struct {
	Region    string           `json:"region"`
	Policy    string           `json:"policy"`
	Run       string           `json:"run"` // The run that wrote it.
	Snapshots []orphanDocument `json:"snapshots"`
}

// orphanDocument is ami.SeenOrphan.
type orphanDocument struct {
	SnapshotID  string    `json:"snapshotId"`
	ImageID     string    `json:"imageId"`
	Since       time.Time `json:"since"`
	SeenAt      time.Time `json:"seenAt"`
	AnnouncedBy string    `json:"announcedBy,omitempty"`
	Due         time.Time `json:"due,omitzero"`
	Stays       string    `json:"stays,omitempty"`
}

func (s orphanDocument) check() error {
	if err := cmp.Or(checkSnapshot(s.SnapshotID), checkImage(s.ImageID)); err != nil {
		return err
	}
	switch {
	case s.Since.IsZero() || s.SeenAt.Before(s.Since):
		return fmt.Errorf("%s was seen last before it was seen first", s.SnapshotID)
	case (s.AnnouncedBy == "") != s.Due.IsZero():
		return fmt.Errorf("half of an announcement is there of %s", s.SnapshotID)
	case s.AnnouncedBy != "":
		return checkRun(s.AnnouncedBy)
	default:
		return nil
	}
}

// Orphans returns what a policy has noted about snapshots without their images, and what runs noted
// about their removals of some images. Both are read after the region was opened.
func (r *Region) Orphans(ctx context.Context, policy string, images []string) (*ami.Orphans, error) {
	found := &ami.Orphans{}
	var err error
	if found.Seen, err = r.journal.seenOrphans(ctx, r.region, policy); err != nil {
		return nil, err
	}
	found.Removals, err = r.journal.pastRemovals(ctx, r.region, r.run, images)
	return found, err
}

func (j *Journal) seenOrphans(ctx context.Context, region, policy string) (map[string]ami.SeenOrphan, error) {
	if err := checkPolicy(policy); err != nil {
		return nil, err
	}
	key := orphansKey(region, policy)
	data, _, err := j.store.get(ctx, key)
	if errors.Is(err, ErrNotFound) {
		return map[string]ami.SeenOrphan{}, nil
	}
	if err != nil {
		return nil, err
	}
	seen, err := parseOrphans(data, region, policy)
	return seen, j.unreadable(key, err)
}

func parseOrphans(data []byte, region, policy string) (map[string]ami.SeenOrphan, error) {
	var document orphansDocument
	if err := json.Unmarshal(data, &document); err != nil {
		return nil, err
	}
	if err := cmp.Or(notOf("region", document.Region, region), notOf("policy", document.Policy, policy)); err != nil {
		return nil, err
	}
	seen := make(map[string]ami.SeenOrphan, len(document.Snapshots))
	for _, s := range document.Snapshots {
		if err := s.check(); err != nil {
			return nil, err
		}
		if _, isTwice := seen[s.SnapshotID]; isTwice {
			return nil, fmt.Errorf("%s is there twice", s.SnapshotID)
		}
		seen[s.SnapshotID] = ami.SeenOrphan{ImageID: s.ImageID, Since: s.Since, SeenAt: s.SeenAt, Run: s.AnnouncedBy, Due: s.Due, Stays: s.Stays}
	}
	return seen, nil
}

// pastRemovals returns what runs other than one noted about removals of some images.
func (j *Journal) pastRemovals(ctx context.Context, region, own string, images []string) (map[string][]ami.PastRemoval, error) {
	prefix := removalsPrefix + region + "/"
	documents, err := j.store.list(ctx, prefix)
	if err != nil {
		return nil, err
	}
	wanted := make(map[string]bool, len(images))
	for _, id := range images {
		wanted[id] = true
	}
	var entries []removal
	for _, d := range documents {
		r, ok := parseRemovalKey(strings.TrimPrefix(d.key, prefix))
		if !ok {
			return nil, j.foreign(d.key)
		}
		if wanted[r.image] && r.snapshot == "" && r.run != own {
			entries = append(entries, r)
		}
	}
	slices.SortFunc(entries, func(a, b removal) int {
		return cmp.Or(strings.Compare(a.image, b.image), strings.Compare(a.run, b.run))
	})
	read := make([]removalDocument, len(entries))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(readsAtOnce)
	for i, entry := range entries {
		group.Go(func() (err error) {
			read[i], err = j.readRemoval(ctx, region, entry)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	removals := map[string][]ami.PastRemoval{}
	for i := range read {
		removals[read[i].ImageID] = append(removals[read[i].ImageID], read[i].past())
	}
	return removals, nil
}

// past is what the document says about the snapshots of the image. One that stayed after all, and
// had been declared, counts among those that were to go.
func (d *removalDocument) past() ami.PastRemoval {
	p := ami.PastRemoval{Run: d.Run, Confirmed: d.Status == ami.Deregistered, OnPurpose: map[string]string{}, Going: slices.Clone(d.Declared)}
	for _, s := range d.Snapshots {
		switch {
		case s.Status != ami.SnapshotKept:
			p.Going = append(p.Going, s.SnapshotID)
		case !slices.Contains(d.Declared, s.SnapshotID):
			p.Kept = append(p.Kept, s.SnapshotID)
		}
		isOnPurpose := s.Detail == ami.KeepsAllSnapshots || strings.HasPrefix(s.Detail, ami.KeptByTagWords) ||
			strings.HasSuffix(s.Detail, ami.NotMadeForIt)
		if s.Status == ami.SnapshotKept && isOnPurpose {
			p.OnPurpose[s.SnapshotID] = s.Detail
		}
	}
	slices.Sort(p.Kept)
	slices.Sort(p.Going)
	p.Going = slices.Compact(p.Going)
	return p
}

// NoteOrphans notes which snapshots a policy has seen without their images, in the place of what it
// had noted before. After an error, nothing of it may be acted on.
func (s *Session) NoteOrphans(ctx context.Context, policy string, seen map[string]ami.SeenOrphan) error {
	if s.journal == nil {
		return errors.New("no journal is kept")
	}
	if err := cmp.Or(checkPolicy(policy), s.MayContinue(ctx, WithinChunk)); err != nil {
		return err
	}
	document := orphansDocument{Region: s.region, Policy: policy, Run: s.run, Snapshots: []orphanDocument{}}
	for id, o := range seen {
		noted := orphanDocument{id, o.ImageID, o.Since.UTC(), o.SeenAt.UTC(), o.Run, o.Due, o.Stays}
		if err := noted.check(); err != nil { // No run could read the document.
			return err
		}
		document.Snapshots = append(document.Snapshots, noted)
	}
	slices.SortFunc(document.Snapshots, func(a, b orphanDocument) int { return strings.Compare(a.SnapshotID, b.SnapshotID) })
	return s.journal.save(ctx, orphansKey(s.region, policy), document)
}
