package journal

import (
	"fmt"
	"regexp"
	"strings"
)

const scheme = "s3://"

// bucketName is S3's rule for the names of buckets, apart from two dots in a row (S3 User Guide,
// "General purpose bucket naming rules").
var bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

// prefixSegment has the characters that are safe in keys (S3 User Guide, "Naming Amazon S3
// objects").
var prefixSegment = regexp.MustCompile(`^[0-9A-Za-z!_.*'()-]+$`)

// Check returns an error if a location is neither an s3:// URL with a bucket nor the name of a
// directory.
func Check(location string) error {
	bucket, prefix, isURL := splitURL(location)
	if !isURL {
		return checkDirectory(location)
	}
	if !bucketName.MatchString(bucket) || strings.Contains(bucket, "..") {
		return fmt.Errorf("%q: %q is not the name of a bucket", location, bucket)
	}
	if prefix == "" {
		return nil
	}
	for segment := range strings.SplitSeq(strings.TrimSuffix(prefix, "/"), "/") {
		if !prefixSegment.MatchString(segment) || segment == "." || segment == ".." {
			return fmt.Errorf("%q: %q cannot be a part of a prefix", location, segment)
		}
	}
	return nil
}

// checkDirectory refuses names that look like a URL. A file with that name may exist; Open finds
// out.
func checkDirectory(location string) error {
	isURL := strings.Contains(location, "://") || strings.HasPrefix(strings.ToLower(location), "s3:")
	if isURL || location == "" || strings.ContainsRune(location, 0) {
		return fmt.Errorf("%q is neither an s3:// URL, such as s3://bucket/prefix, nor the name of a directory", location)
	}
	return nil
}

// splitURL splits an s3:// URL. The prefix is empty, or ends in a slash.
func splitURL(location string) (bucket, prefix string, ok bool) {
	rest, ok := strings.CutPrefix(location, scheme)
	bucket, prefix, _ = strings.Cut(rest, "/")
	if prefix != "" && !strings.HasSuffix(prefix, "/") {
		prefix += "/"
	}
	return bucket, prefix, ok
}
