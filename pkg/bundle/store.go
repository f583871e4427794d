package bundle

import (
	"context"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// mostVersions is how many versions the objects of a bundle may have, all together.
const mostVersions = 10 * mostParts

// Store is where the bundles of an account are: its buckets, and its images of all regions. It is
// safe for concurrent use.
type Store struct {
	AWS     aws.Config
	Account string
	Buckets []string // No others are read.
	Days    int      // How long what is deleted has to be there.

	// Regions lists all regions that the account can use, those that are not judged among them.
	Regions func(context.Context) ([]string, error)
}

func (s *Store) bucket(name string) wire.VersionedBucket {
	return wire.OpenVersioned(s.AWS, name, s.Account)
}

// User is an own instance-store image, and the manifest that it names.
type User struct{ ImageID, Location string }

// Users returns the own instance-store images of all regions, disabled and deprecated ones among
// them: the owner of an image sees those (EC2 API Reference, DescribeImages).
func (s *Store) Users(ctx context.Context) ([]User, error) {
	regions, err := s.Regions(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing the regions: %s", wire.ExplainLookup(err))
	}
	type listing struct {
		users []User
		err   error
	}
	var all []User
	for i, listed := range wire.InRegions(regions, func(region string) listing {
		users, err := usersIn(ctx, wire.EC2(s.AWS, region))
		return listing{users, err}
	}) {
		if listed.err != nil {
			return nil, fmt.Errorf("the images of %s: %s", regions[i], wire.ExplainLookup(listed.err))
		}
		all = append(all, listed.users...)
	}
	return all, nil
}

func usersIn(ctx context.Context, api *ec2.Client) ([]User, error) {
	var users []User
	pages := ec2.NewDescribeImagesPaginator(api, &ec2.DescribeImagesInput{
		Owners: []string{"self"}, IncludeDisabled: aws.Bool(true), IncludeDeprecated: aws.Bool(true), MaxResults: aws.Int32(1000),
		Filters: []types.Filter{{Name: aws.String("root-device-type"), Values: []string{string(types.DeviceTypeInstanceStore)}}},
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for i := range page.Images {
			users = append(users, User{aws.ToString(page.Images[i].ImageId), aws.ToString(page.Images[i].ImageLocation)})
		}
	}
	return users, nil
}

// Find reads the bundle of an image, and says why it stays. The users are those of Users.
func (s *Store) Find(ctx context.Context, imageID, of string, users []User) ami.BundleFinding {
	found := ami.BundleFinding{Bundle: ami.Bundle{Location: of}}
	bucket, key, prefix, err := parse(of)
	switch {
	case err != nil:
		found.Why = err.Error()
	case !slices.Contains(s.Buckets, bucket):
		found.Why = "its bucket is not among those of the policy"
	}
	if found.Why == "" {
		found.Why, found.Unknown = s.settings(ctx, bucket, prefix)
	}
	if found.Why == "" {
		found.Objects, found.Why, found.Unknown = s.read(ctx, bucket, key, prefix)
	}
	if found.Why == "" {
		found.Why, found.Unknown = s.neededBy(ctx, imageID, found.Location, users)
	}
	if found.Why != "" {
		found.Objects = nil
	}
	return found
}

// settings says why nothing is deleted from a bucket: deleted objects could not be brought back.
func (s *Store) settings(ctx context.Context, bucket, prefix string) (why string, unknown bool) {
	b := s.bucket(bucket)
	enabled, mfa, err := b.Versioning(ctx)
	switch {
	case err != nil:
		return "whether its bucket is versioned is not known: " + wire.ExplainLookup(err), true
	case !enabled:
		return "its bucket is not versioned", false
	case mfa:
		return "its bucket has MFA delete, so that an undo could not take delete markers away", false
	}
	rules, err := b.Lifecycle(ctx)
	if err != nil {
		return "the lifecycle rules of its bucket are not known: " + wire.ExplainLookup(err), true
	}
	return endedBy(rules, prefix+".", s.Days), false
}

// read reads a manifest, and finds its parts.
func (s *Store) read(ctx context.Context, bucket, key, prefix string) (objects []ami.BundleObject, why string, unknown bool) {
	current, err := s.current(ctx, bucket, prefix)
	if err != nil {
		return nil, "its objects could not be listed: " + wire.ExplainLookup(err), true
	}
	manifest, isThere := current[key]
	if !isThere {
		return nil, "there is no manifest", false
	}
	names, read, why, unknown := s.readManifest(ctx, bucket, key, prefix)
	switch {
	case why != "":
		return nil, why, unknown
	case read.ID != manifest.ID || read.ETag != manifest.ETag:
		return nil, "its manifest has just changed", true
	}
	for _, key := range slices.Concat([]string{path.Base(key)}, names) {
		key = path.Join(path.Dir(prefix), key)
		v, isThere := current[key]
		switch {
		case !isThere:
			return nil, key + " is not there", false
		case v.ID == "null":
			// It would be lost if somebody suspended versioning meanwhile (S3 User Guide,
			// "Deleting objects from versioning-suspended buckets").
			return nil, key + " is older than the versioning of its bucket; copied over itself, it has a version", false
		case v.ETag == "":
			return nil, key + " has no ETag", false
		}
		objects = append(objects, ami.BundleObject{Key: key, VersionID: v.ID, ETag: v.ETag, Size: v.Size})
	}
	return objects, "", false
}

// readManifest returns the names of the parts in a manifest, and which version of it was read.
func (s *Store) readManifest(ctx context.Context, bucket, key, prefix string) (names []string, read wire.Version, why string, unknown bool) {
	content, version, etag, err := s.bucket(bucket).ReadVersion(ctx, key, mostBytes)
	if err != nil {
		return nil, read, "its manifest could not be read: " + wire.ExplainLookup(err), wire.Code(err) != "NoSuchKey"
	}
	if names, err = partsOf(content, path.Base(prefix)); err != nil {
		return nil, read, err.Error(), false
	}
	return names, wire.Version{Key: key, ID: version, ETag: etag}, "", false
}

// current returns the current versions of the objects of a bundle, by key, without those that are
// deleted.
func (s *Store) current(ctx context.Context, bucket, prefix string) (map[string]wire.Version, error) {
	versions, err := s.bucket(bucket).Versions(ctx, prefix+".", mostVersions)
	if err != nil {
		return nil, err
	}
	current := map[string]wire.Version{}
	for _, v := range versions {
		if v.IsLatest && !v.IsMarker {
			current[v.Key] = v
		}
	}
	return current, nil
}

// neededBy says which other image needs a bundle: one that names its manifest, or one whose
// manifest beside it may name a part of it.
func (s *Store) neededBy(ctx context.Context, imageID, of string, users []User) (why string, unknown bool) {
	for _, user := range users {
		there := path.Clean(strings.TrimLeft(user.Location, "/"))
		bucket, key, prefix, err := parse(user.Location)
		switch {
		case user.ImageID == imageID:
			continue
		case there == of:
			return user.ImageID + " names the same manifest", false
		case err != nil && mayBeIn(user.Location, of):
			return user.ImageID + " may name the same, or parts of it: " + err.Error(), false
		case err != nil || path.Dir(there) != path.Dir(of):
			continue
		}
		// A manifest that names nothing but parts with its own prefix names none of others.
		if _, _, why, unknown := s.readManifest(ctx, bucket, key, prefix); why != "" {
			return user.ImageID + " is beside it, and may name its parts: " + why, unknown
		}
	}
	return "", false
}

// mayBeIn reports whether a location without a plain key may be in the bucket of another one:
// nobody knows whether RegisterImage has decoded it, or ignored its case.
func mayBeIn(location, of string) bool {
	bucket, _, _ := strings.Cut(of, "/")
	decoded, err := url.PathUnescape(location)
	return err != nil || strings.Contains(strings.ToLower(decoded), bucket)
}

// State is what has become of the objects of a bundle since they were read.
type State struct {
	Current []ami.BundleObject // As they were read; the manifest first if it is one of them.
	Hidden  map[string]string  // The delete markers in front of them, by key.
	Changed []string           // The keys of the others.
}

// Tried is what runs have done to a bundle.
type Tried struct {
	Markers map[string]string // The delete markers that S3 has confirmed, by key.
	// The keys of others that may have one, because S3's answer is not known.
	InDoubt []string
}

// Look says why a bundle stays that was found before, or what has become of its objects.
func (s *Store) Look(ctx context.Context, imageID string, b ami.Bundle, tried Tried) (now State, why string, unknown bool) {
	_, _, prefix, err := parse(b.Location)
	if err == nil {
		err = b.Check()
	}
	if err != nil || !slices.Contains(s.Buckets, b.Bucket()) {
		return State{}, "its bucket is not among those of the policy", false
	}
	if why, unknown = s.settings(ctx, b.Bucket(), prefix); why != "" {
		return State{}, why, unknown
	}
	users, err := s.Users(ctx)
	if err != nil {
		return State{}, err.Error(), true
	}
	if why, unknown = s.neededBy(ctx, imageID, b.Location, users); why != "" {
		return State{}, why, unknown
	}
	if now, err = s.State(ctx, b, tried); err != nil {
		return State{}, "its objects could not be listed: " + wire.ExplainLookup(err), true
	}
	if len(now.Changed) > 0 {
		return now, now.Changed[0] + " is no longer what it was", false
	}
	for _, o := range now.Current {
		if tried.Markers[o.Key] != "" {
			return now, "somebody has taken the delete marker of " + o.Key + " away", false
		}
	}
	return now, "", false
}

// State says what has become of the objects of a bundle.
func (s *Store) State(ctx context.Context, b ami.Bundle, tried Tried) (State, error) {
	_, _, prefix, err := parse(b.Location)
	if err != nil {
		return State{}, err
	}
	versions, err := s.bucket(b.Bucket()).Versions(ctx, prefix+".", mostVersions)
	if err != nil {
		return State{}, err
	}
	byKey := map[string][]wire.Version{}
	for _, v := range versions {
		byKey[v.Key] = append(byKey[v.Key], v)
	}
	now := State{Hidden: map[string]string{}}
	for _, o := range b.Objects {
		switch marker, isCurrent := stateOf(o, byKey[o.Key], tried); {
		case isCurrent:
			now.Current = append(now.Current, o)
		case marker != "":
			now.Hidden[o.Key] = marker
		default:
			now.Changed = append(now.Changed, o.Key)
		}
	}
	return now, nil
}

// stateOf reports whether an object is still what it was read as, or returns the marker that a run
// has put in front of it: the known one, or, if S3's answer may have been lost, the only one that
// is newer than the object. When the run read the object, it had none.
func stateOf(o ami.BundleObject, versions []wire.Version, tried Tried) (marker string, isCurrent bool) {
	at := slices.IndexFunc(versions, func(v wire.Version) bool { return !v.IsMarker && v.ID == o.VersionID && v.ETag == o.ETag })
	last := slices.IndexFunc(versions, func(v wire.Version) bool { return v.IsLatest })
	if at < 0 || last < 0 {
		return "", false
	}
	read, latest := versions[at], versions[last]
	if latest.IsMarker && latest.ID == tried.Markers[o.Key] {
		return latest.ID, false // Whatever is behind it.
	}
	markers := 0
	for _, v := range versions {
		isNewer := v.Modified.After(read.Modified)
		if isNewer && !v.IsMarker {
			return "", false
		}
		if isNewer {
			markers++
		}
	}
	switch {
	case !latest.IsMarker:
		return "", latest.ID == o.VersionID
	case tried.Markers[o.Key] == "" && slices.Contains(tried.InDoubt, o.Key) && markers == 1:
		return latest.ID, false
	default:
		return "", false
	}
}

// Hide puts a delete marker in front of an object that is still what was read, and returns its id.
// inDoubt reports whether S3 may have done it although there is an error.
func (s *Store) Hide(ctx context.Context, b ami.Bundle, o ami.BundleObject) (marker string, inDoubt bool, err error) {
	return s.bucket(b.Bucket()).Hide(ctx, o.Key, o.ETag)
}

// Show takes a delete marker away again.
func (s *Store) Show(ctx context.Context, b ami.Bundle, key, marker string) error {
	return s.bucket(b.Bucket()).Show(ctx, key, marker)
}
