package wire_test

import (
	"testing"

	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// Only EC2's word that something is not there, or an image's own state, says that it is gone.
func TestPresence(t *testing.T) {
	const other = "<imagesSet><item><imageId>ami-00000000000000002</imageId><imageState>deregistered</imageState></item></imagesSet>"
	image := func(state string) string {
		return "<imagesSet><item><imageId>" + imageID + "</imageId><imageState>" + state + "</imageState></item></imagesSet>"
	}
	snapshots := func(ids ...string) string {
		items := ""
		for _, id := range ids {
			items += "<item><snapshotId>" + id + "</snapshotId></item>"
		}
		return "<snapshotSet>" + items + "</snapshotSet>"
	}
	const snapshotID = "snap-00000000000000001"
	for name, c := range map[string]struct {
		status   int
		image    string // What EC2 answers about the image, and about the snapshot.
		snapshot string
		want     wire.Presence
	}{
		"it is there":       {200, image("available"), snapshots(snapshotID), wire.Present},
		"a list without it": {200, "<imagesSet/>", snapshots(), wire.Empty},
		"about another one": {200, other, snapshots("snap-00000000000000002"), wire.Unknown},
		"it and another one": {
			200, "<imagesSet><item><imageId>" + imageID + "</imageId><imageState>deregistered</imageState></item>" +
				"<item><imageId>" + imageID + "</imageId><imageState>available</imageState></item></imagesSet>",
			snapshots(snapshotID, "snap-00000000000000002"), wire.Unknown,
		},
		"it is not found":      {400, "InvalidAMIID.NotFound", "InvalidSnapshot.NotFound", wire.Gone},
		"nobody may ask":       {403, "UnauthorizedOperation", "UnauthorizedOperation", wire.Unknown},
		"an id that is no one": {400, "InvalidAMIID.Malformed", "InvalidParameterValue", wire.Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			body := func(action, says string) string {
				if c.status != 200 {
					return "<Response><Errors><Error><Code>" + says + "</Code><Message>x</Message></Error></Errors><RequestID>1</RequestID></Response>"
				}
				return "<" + action + "Response><requestId>1</requestId>" + says + "</" + action + "Response>"
			}
			seen, _, err := wire.FindImage(t.Context(), client(answering(c.status, body("DescribeImages", c.image))).ec2, imageID)
			if seen != c.want || (err != nil) != (c.status != 200 && c.want == wire.Unknown) {
				t.Errorf("the image: %v, %v", seen, err)
			}
			seen, _, err = wire.FindSnapshot(t.Context(), client(answering(c.status, body("DescribeSnapshots", c.snapshot))).ec2, snapshotID)
			if seen != c.want || (err != nil) != (c.status != 200 && c.want == wire.Unknown) {
				t.Errorf("the snapshot: %v, %v", seen, err)
			}
		})
	}
	seen, _, _ := wire.FindImage(t.Context(), client(answering(200, "<DescribeImagesResponse><requestId>1</requestId>"+image("deregistered")+"</DescribeImagesResponse>")).ec2, imageID)
	if seen != wire.Gone {
		t.Errorf("deregistered, and %v", seen)
	}
}
