package emulator_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/ami-janitor/ami-janitor/pkg/emulator"
)

// described are the tags of an image or a snapshot, as it is described.
func (b *binAccount) described(id string) string {
	b.t.Helper()
	var tags []types.Tag
	if strings.HasPrefix(id, "ami-") {
		tags = b.image(id).Tags
	} else {
		out, err := b.ec2.DescribeSnapshots(b.t.Context(), &ec2.DescribeSnapshotsInput{SnapshotIds: []string{id}})
		if err != nil {
			b.t.Fatal(err)
		}
		tags = out.Snapshots[0].Tags
	}
	var list []string
	for _, tag := range tags {
		list = append(list, *tag.Key+"="+*tag.Value)
	}
	return strings.Join(list, " ")
}

// Each change of tags is seen at its own time, and never sooner.
func TestTagsAreSeenLate(t *testing.T) {
	const late = 90 * time.Second
	for _, id := range []string{"ami-00000004", "snap-00000002"} {
		b := binOf(t)
		before := b.tagsOf(id)
		b.SetTagDelay(late)
		equal(t, "tag", b.tag(id, "zone", "a"), "")
		b.now = b.now.Add(time.Second)
		equal(t, "tag again", b.tag(id, "zone", "b"), "")
		b.now = b.now.Add(time.Second)
		if _, err := b.ec2.DeleteTags(t.Context(), &ec2.DeleteTagsInput{Resources: []string{id}, Tags: []types.Tag{{Key: aws.String("zone")}}}); err != nil {
			t.Error(err)
		}
		for _, step := range []struct {
			at   time.Duration
			want string
		}{
			{late - 1, before},
			{late, before + " zone=a"},
			{late + time.Second - 1, before + " zone=a"},
			{late + time.Second, before + " zone=b"},
			{late + 2*time.Second - 1, before + " zone=b"},
			{late + 2*time.Second, before},
		} {
			b.now = now.Add(step.at)
			equal(t, id+" listed after "+step.at.String(), b.tagsOf(id), step.want)
			equal(t, id+" described after "+step.at.String(), b.described(id), step.want)
			out, err := b.ec2.DescribeImages(t.Context(), &ec2.DescribeImagesInput{Filters: filters("tag-key", "zone")})
			if seen := strings.HasPrefix(id, "ami-") && strings.Contains(step.want, "zone"); err != nil || len(out.Images) == 1 != seen {
				t.Errorf("filtered after %s: %+v, %v", step.at, out, err)
			}
		}
		equal(t, "tag once more", b.tag(id, "zone", "c"), "")
		equal(t, "seen", b.tagsOf(id), before)
		b.SetTagDelay(0)
		equal(t, "without a delay", b.tagsOf(id), before+" zone=c")
	}
}

// The tags that an image and its snapshot are made with are late, too.
func TestTagsOfWhatIsMadeAreSeenLate(t *testing.T) {
	b := binOf(t)
	b.SetTagDelay(time.Minute)
	snapshot := written(t, b.Client())
	out, err := b.ec2.RegisterImage(t.Context(), registration(snapshot))
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{snapshot, *out.ImageId} {
		b.now = now.Add(time.Minute - 1)
		equal(t, id, b.described(id)+b.tagsOf(id), "")
		b.now = now.Add(time.Minute)
		equal(t, id, b.described(id), "team=search")
	}
}

// IAM sees a tag no sooner than EC2 does, and sees one that was taken off as long.
func TestIAMSeesTagsLate(t *testing.T) {
	b := binOf(t)
	b.SetTagDelay(time.Minute)
	client := ec2Client(b.Client(emulator.Lags{TagKey: "intent", TagValue: "remove"}))
	equal(t, "tag", b.tag("ami-00000004 snap-00000005", "intent", "remove"), "")
	remove := func(dry bool) string {
		_, err := client.DeregisterImage(t.Context(), &ec2.DeregisterImageInput{ImageId: aws.String("ami-00000004"), DryRun: &dry})
		return code(err)
	}
	b.now = now.Add(time.Minute - 1)
	equal(t, "too soon", remove(true)+" "+remove(false), "UnauthorizedOperation UnauthorizedOperation")
	equal(t, "a snapshot too soon", deletion(t, client, "snap-00000005"), "UnauthorizedOperation")
	b.now = now.Add(time.Minute)
	equal(t, "in time", remove(true), "DryRunOperation")
	equal(t, "tag otherwise", b.tag("ami-00000004", "intent", "keep"), "")
	b.now = b.now.Add(time.Minute - 1)
	equal(t, "still", remove(true), "DryRunOperation")
	b.now = b.now.Add(1)
	equal(t, "no longer", remove(true), "UnauthorizedOperation")
}

// What is removed before the rule sees its tag is gone for good.
func TestRulesSeeTagsLate(t *testing.T) {
	for _, test := range []struct {
		waited         time.Duration
		image, restore string
	}{{time.Minute - 1, "", "InvalidAMIID.NotFound"}, {time.Minute, "4 14", ""}} {
		b := binOf(t)
		b.SetTagDelay(time.Minute)
		equal(t, "tag", b.tag("ami-00000004", "intent", "remove"), "")
		b.now = b.now.Add(test.waited)
		equal(t, "remove", b.deregister("ami-00000004"), "")
		equal(t, "in the bin after "+test.waited.String(), b.listed(), test.image)
		equal(t, "restored after "+test.waited.String(), b.restoreImage("ami-00000004"), test.restore)
	}
	// A rule goes by the tag of before.
	b := binOf(t)
	b.SetTagDelay(time.Minute)
	equal(t, "tag", b.tag("ami-00000002", "intent", "keep"), "")
	equal(t, "remove", b.deregister("ami-00000002"), "")
	equal(t, "in the bin", b.listed(), "2 14")
	equal(t, "tags in the bin", b.tagsOf("ami-00000002"), "intent=remove")
	b.now = b.now.Add(time.Minute)
	equal(t, "tags in the bin then", b.tagsOf("ami-00000002"), "aws:recycle-bin:resource-in-bin=true intent=keep")
}

func TestTheBinIsLate(t *testing.T) {
	b := binOf(t)
	b.SetBinDelay(10 * time.Minute)
	equal(t, "remove", b.deregister("ami-00000001")+b.deleteSnapshot("snap-00000001"), "")
	b.now = now.Add(10*time.Minute - 1)
	equal(t, "too soon", b.listed()+b.listedSnapshots(), "")
	equal(t, "by id", b.listed("ami-00000001"), "InvalidAMIID.NotFound")
	equal(t, "another", b.deregister("ami-00000002"), "")
	b.now = now.Add(10 * time.Minute)
	if got := b.listed() + "; " + b.listedSnapshots(); !strings.HasPrefix(got, "1 13.9") || strings.Contains(got, "2 ") || !strings.Contains(got, "; 1 19.9") {
		t.Errorf("in time: %s", got)
	}
	equal(t, "restore what is listed", b.restoreSnapshot("snap-00000001"), "")
	equal(t, "restore what is not yet listed", b.restoreImage("ami-00000002"), "")
}

func TestEmptyListsAreLeftOut(t *testing.T) {
	a := load(t, directory("describe-images.json", `{"Images": [{"ImageId": "ami-00000001", "Tags": [], "BlockDeviceMappings": [{"Ebs": {"X": []}}]}]}`))
	ask := func(service, target, method, path, body string) string {
		r := httptest.NewRequest(method, path, strings.NewReader(body))
		r.Header.Set("Authorization", scope(service))
		r.Header.Set("X-Amz-Target", target)
		w := httptest.NewRecorder()
		a.ServeHTTP(w, r)
		answer, err := io.ReadAll(w.Body)
		if err != nil || w.Code != http.StatusOK {
			t.Errorf("%d, %v: %s", w.Code, err, answer)
		}
		return string(answer)
	}
	const id = "<requestId>00000000-0000-4000-8000-00000000000"
	answers := func() []string {
		return []string{
			ask("ec2", "", http.MethodPost, "/", "Action=DescribeSnapshots"), ask("ec2", "", http.MethodPost, "/", "Action=DescribeImages"),
			ask("autoscaling", "", http.MethodPost, "/", "Action=DescribeAutoScalingGroups"),
			ask("ssm", "AmazonSSM.DescribeParameters", http.MethodPost, "/", "{}"), ask("rbin", "", http.MethodPost, "/list-rules", `{"ResourceType": "EC2_IMAGE"}`),
		}
	}
	empty := []string{
		"<snapshotSet></snapshotSet>", "<tagSet></tagSet>", "<AutoScalingGroups></AutoScalingGroups>", `{"Parameters":[]}`, `{"Rules":[]}`,
	}
	for i, answer := range answers() {
		if !strings.Contains(answer, empty[i]) {
			t.Errorf("%s is not in %s", empty[i], answer)
		}
	}
	a.LeaveOutEmptyLists()
	left := []string{id + "6</requestId></DescribeSnapshotsResponse>", "<item><ebs></ebs></item>", "<DescribeAutoScalingGroupsResult></DescribeAuto", "{}", "{}"}
	for i, answer := range answers() {
		if strings.Contains(answer, empty[i]) || !strings.Contains(answer, left[i]) {
			t.Errorf("%s, and not %s: %s", left[i], empty[i], answer)
		}
	}
	out, err := ec2Client(a.Client()).DescribeSnapshots(t.Context(), &ec2.DescribeSnapshotsInput{})
	if err != nil || out.Snapshots != nil {
		t.Errorf("%+v, %v", out, err)
	}
}
