package ami

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Bundle is what an instance-store image has in S3: a manifest and its parts, as they were read.
type Bundle struct {
	Location string         `json:"location"` // BUCKET/KEY of the manifest.
	Objects  []BundleObject `json:"objects"`  // The manifest first.
}

// BundleObject is one object of a bundle, in the version that was current.
type BundleObject struct {
	Key       string `json:"key"`
	VersionID string `json:"versionId"`
	ETag      string `json:"etag"` // In quotation marks.
	Size      int64  `json:"size"` // In bytes.
}

// ManifestSuffix is how the key of a manifest ends. The rest of its name is the prefix of its parts
// (ec2-bundle-image).
const ManifestSuffix = ".manifest.xml"

// Bucket is the bucket of a location.
func (b Bundle) Bucket() string {
	bucket, _, _ := strings.Cut(b.Location, "/")
	return bucket
}

// Bytes is the size of all objects.
func (b Bundle) Bytes() int64 {
	var bytes int64
	for _, o := range b.Objects {
		bytes += o.Size
	}
	return bytes
}

// partKey is how the key of a part ends.
var partKey = regexp.MustCompile(`^\.part\.[0-9]{1,6}$`)

// Check returns an error if an object is neither the manifest nor a part beside it, or if what
// tells its version is missing.
func (b Bundle) Check() error {
	_, manifest, _ := strings.Cut(b.Location, "/")
	prefix, isManifest := strings.CutSuffix(manifest, ManifestSuffix)
	if !isManifest || len(b.Objects) < 2 || b.Objects[0].Key != manifest {
		return fmt.Errorf("%q is not the location of a bundle", b.Location)
	}
	seen := map[string]bool{}
	for _, o := range b.Objects {
		rest, begins := strings.CutPrefix(o.Key, prefix)
		isPart := begins && partKey.MatchString(rest)
		if seen[o.Key] || o.Key != manifest && !isPart || o.VersionID == "" || o.VersionID == "null" || o.ETag == "" {
			return fmt.Errorf("%q is not a version of an object of the bundle %q", o.Key, b.Location)
		}
		seen[o.Key] = true
	}
	return nil
}

// Object returns the object with a key.
func (b Bundle) Object(key string) (BundleObject, bool) {
	at := slices.IndexFunc(b.Objects, func(o BundleObject) bool { return o.Key == key })
	if at < 0 {
		return BundleObject{}, false
	}
	return b.Objects[at], true
}

// BundleFinding is what S3 and EC2 say about the bundle of an image.
type BundleFinding struct {
	Bundle

	Why     string // Why the bundle stays; empty if nothing is known to need it.
	Unknown bool   // It stays because something could not be read.
}

// BundleResult is what became of a bundle.
type BundleResult struct {
	Status BundleStatus `json:"status"`
	Detail string       `json:"detail,omitempty"`

	// How many objects are behind delete markers now, and their size in bytes.
	Objects int   `json:"objects"`
	Bytes   int64 `json:"bytes"`

	// The journal has the rest, and no record: the delete markers that S3 has confirmed, by the
	// keys of the objects, and the keys of others that may have one.
	Markers map[string]string `json:"-"`
	InDoubt []string          `json:"-"`
}

// BundleStatus says what happened to a bundle.
type BundleStatus string

const (
	// BundleDeleted means that S3 confirmed a delete marker for the manifest, and for each part
	// that nobody has changed meanwhile.
	BundleDeleted BundleStatus = "deleted"
	// BundleKept means that nothing was deleted.
	BundleKept BundleStatus = "kept"
	// BundleFailed means that some of it is not confirmed as deleted: the next run goes on.
	BundleFailed BundleStatus = "failed"
)

// LeftoverBundle is a bundle that a run planned to delete, and whose deletion is not confirmed.
type LeftoverBundle struct {
	Run     string
	ImageID string // The image with which it was planned to be deleted.
	Bundle
	Markers map[string]string // What is deleted already, as far as S3 has confirmed it.
	InDoubt []string          // The keys of others that may be.
}
