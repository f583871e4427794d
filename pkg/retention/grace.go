package retention

import "fmt"

// GraceAction is what is done to an image from the day on which its removal is announced.
type GraceAction string

const (
	// Announce tags the image, and tells people in the digest.
	Announce GraceAction = "announce"
	// Deprecate deprecates the image as well, from the day on which it is due.
	Deprecate GraceAction = "deprecate"
	// Disable disables the image as well: launches fail, and one command brings it back. An image that is shared is only
	// announced, because disabling drops its launch permissions for good (EC2 User Guide, "Disable an Amazon EC2 AMI").
	Disable GraceAction = "disable"
)

// UnmarshalText refuses anything but the three actions.
func (a *GraceAction) UnmarshalText(text []byte) error {
	switch *a = GraceAction(text); *a {
	case Announce, Deprecate, Disable:
		return nil
	default:
		return fmt.Errorf("%q is none of announce, deprecate, disable", text)
	}
}
