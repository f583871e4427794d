package journal

import (
	"reflect"
	"strings"
	"testing"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
)

// FuzzDocuments reads a text as each of the documents, and as a key and a location. What is taken
// for a document is of the run, region and image that it was read for, and stays the same when it
// is written and read again.
func FuzzDocuments(f *testing.F) {
	const run, region, image = "20261123T020000Z-0a1b2c", "eu-west-1", "ami-0123456789example"
	for _, seed := range []string{
		"", "{}", "null", "[", `{"run":"` + run + `"}`, `{"account":"123456789012"}`,
		`{"run":"` + run + `","region":"eu-west-1","account":"123456789012","at":"2026-11-23T02:00:00Z","declared":[{"imageId":"` + image + `","snapshotIds":["snap-0123456789example"]}]}`,
		`{"run":"` + run + `","region":"eu-west-1","account":"123456789012","at":"2026-11-23T02:00:00Z","declared":[],` +
			`"policy":"team-a","announced":[{"imageId":"` + image + `","due":"2026-12-07T02:00:00+01:00","action":"disable"}]}`,
		`{"run":"` + run + `","region":"eu-west-1","imageId":"` + image + `","declaredSnapshotIds":["snap-0123456789example"],"status":"deregistered","error":"",` +
			`"snapshots":[{"snapshotId":"snap-0123456789example","status":"deleted","detail":"","restorableUntil":"2026-12-07T02:00:00Z"}],"restorableUntil":"2026-12-07T02:00:00Z"}`,
		`{"run":"` + run + `","region":"eu-west-1","at":"2026-11-23T02:00:00+01:00","nonce":"ABC"}`,
		image + "/" + run + ".json", image + "/" + run + "/snap-0123456789example.json", "s3://amzn-s3-demo-bucket/a/b", "s3://a/../b", "../" + run,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		data := []byte(text)
		_ = parseRecord(data, run)
		if account, err := parseAccount(data); err == nil {
			again(t, account, accountDocument{account}, func(data []byte) (string, error) { return parseAccount(data) })
		}
		if plan, err := parsePlan(data, run, region); err == nil {
			if plan.Run != run || plan.Region != region {
				t.Errorf("%+v", plan)
			}
			for _, a := range plan.Announced {
				if checkImage(a.ImageID) != nil || a.Due.IsZero() {
					t.Errorf("%+v is announced", a)
				}
			}
			again(t, plan, plan, func(data []byte) (planDocument, error) { return parsePlan(data, run, region) })
		}
		if removal, err := parseRemoval(data, region, image, run); err == nil {
			if removal.Run != run || removal.Region != region || removal.ImageID != image {
				t.Errorf("%+v", removal)
			}
			again(t, removal, removal, func(data []byte) (removalDocument, error) { return parseRemoval(data, region, image, run) })
		}
		if lock, err := parseLock(data, region); err == nil {
			again(t, lock, lock, func(data []byte) (lockDocument, error) { return parseLock(data, region) })
		}
		if r, ok := parseRemovalKey(text); ok {
			key := removalKey("x", r.image, r.run)
			if r.snapshot != "" {
				key = leftoverKey("x", r.image, r.run, r.snapshot)
			}
			if key != removalsPrefix+"x/"+text {
				t.Errorf("%q is read as %+v", text, r)
			}
		}
		if bucket, prefix, isURL := splitURL(text); isURL && Check(text) == nil {
			if strings.Contains("/"+prefix, "//") || strings.Contains("/"+prefix, "/../") || prefix != "" && !strings.HasSuffix(prefix, "/") || bucket == "" {
				t.Errorf("%q: %q", text, prefix)
			}
		}
	})
}

func again[Document any](t *testing.T, read Document, document any, parse func([]byte) (Document, error)) {
	data, err := encode(document)
	if err != nil {
		t.Fatalf("%+v cannot be written: %v", read, err)
	}
	second, err := parse(data)
	if err != nil || !reflect.DeepEqual(normal(read), normal(second)) {
		t.Errorf("%+v is read again as %+v, %v", read, second, err)
	}
}

// normal takes out what two equal times may differ in.
func normal(document any) any {
	switch d := document.(type) {
	case planDocument:
		d.At = d.At.UTC()
		announced := append([]Announced{}, d.Announced...)
		for i := range announced {
			announced[i].Due = announced[i].Due.UTC()
		}
		d.Announced = announced
		return d
	case lockDocument:
		d.At = d.At.UTC()
		return d
	case removalDocument:
		d.RestorableUntil = d.RestorableUntil.UTC()
		snapshots := append([]ami.SnapshotResult{}, d.Snapshots...)
		for i := range snapshots {
			snapshots[i].RestorableUntil = snapshots[i].RestorableUntil.UTC()
		}
		d.Snapshots = snapshots
		return d
	}
	return document
}
