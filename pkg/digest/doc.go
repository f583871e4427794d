// Package digest says what a run did: as e-mail with its subject, as Slack message, on the
// terminal; and it explains the verdict on one image.
//
// It is pure: what it says is a function of the record. It words an image from its verdict and its
// outcome together, so that it never reports as done what AWS has not confirmed. Names, tags and
// errors are untrusted: all that is shown of them goes through pkg/plain.
package digest
