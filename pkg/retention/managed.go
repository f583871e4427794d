package retention

import (
	"slices"
	"strings"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
)

// mark identifies the images or snapshots of a managing service: a tag key, with a value if value
// is not empty. A key that ends in "*" stands for every key with that prefix.
type mark struct {
	owner, key, value string
	remedy            string // What a person has to do to remove the resource.
}

// marks is the table of managing services. The tags come from AWS's own policies and user guides:
// the managed policies AWSBackupServiceRolePolicyForBackup,
// AWSBackupServiceLinkedRolePolicyForBackup, AWSElasticDisasterRecoveryServiceRolePolicy,
// AWSEC2VssSnapshotPolicy and EC2FastLaunchServiceRolePolicy, "Data Lifecycle Manager elements" in
// the EBS User Guide, and "Tag resources" in the Image Builder User Guide.
var marks = []mark{
	{"AWS Backup", "aws:backup:*", "", "delete its recovery point"},
	{"AWS Backup", "AWSBackupManagedResource", "", "delete its recovery point"},
	{"Data Lifecycle Manager", "aws:dlm:*", "", "change its lifecycle policy"},
	{"Data Lifecycle Manager", "dlm:managed", "", "change its lifecycle policy"},
	{imageBuilder, "CreatedBy", "EC2 Image Builder", "use a lifecycle policy of Image Builder"},
	{imageBuilder, "Ec2ImageBuilderArn", "", "use a lifecycle policy of Image Builder"},
	{"EC2 Fast Launch", "CreatedBy", "EC2 Fast Launch", "turn Fast Launch off for its image"},
	{"Elastic Disaster Recovery", "AWSElasticDisasterRecoveryManaged", "", "remove its source server there"},
	migrationMark,
	rdsCustomMark,
	{"AWS VSS", "AwsVssConfig", "", "delete it where the VSS backup is run"},
	{"the EBS CSI driver", "ebs.csi.aws.com/*", "", "delete its VolumeSnapshot in Kubernetes"},
	{"the EBS CSI driver", "CSIVolumeSnapshotName", "", "delete its VolumeSnapshot in Kubernetes"},
	{"Amazon EKS", "eks:*", "", "remove it with its cluster"},
}

const imageBuilder = "EC2 Image Builder"

// marksBesideImageBuilder are the marks of services whose images are never judged.
var marksBesideImageBuilder = slices.DeleteFunc(slices.Clone(marks), func(m mark) bool { return m.owner == imageBuilder })

// Two services mark the snapshots of their images and not the images: there the mark on a snapshot
// counts for its image.
var (
	migrationMark = mark{"Application Migration Service", "AWSApplicationMigrationServiceManaged", "", "remove its source server there"}
	rdsCustomMark = mark{"RDS Custom", "AWSRDSCustom", "", "delete its custom engine version or instance"}
)

var marksOfSnapshots = []mark{migrationMark, rdsCustomMark}

// managerOfImageBySnapshot says which service manages the image of a snapshot; empty if the
// snapshot does not tell.
func managerOfImageBySnapshot(snapshot *ami.Snapshot) string {
	if m, ok := firstMark(marksOfSnapshots, snapshot.Tags); ok {
		return "managed by " + m.owner + " (tag of " + snapshot.ID + "): " + m.remedy
	}
	return ""
}

// namePrefixes identify the images of services whose tags a copy may have lost.
var namePrefixes = []mark{
	{"AWS Backup", "AwsBackup_", "", "delete its recovery point"},
	{"Data Lifecycle Manager", "DLM_policy-", "", "change its lifecycle policy"},
}

// managerOf says which service manages an image and what to do about it; empty if none does.
func (p Policy) managerOf(image *ami.Image) string {
	if phrase := p.managerByTags(image.Tags); phrase != "" {
		return phrase
	}
	for _, m := range namePrefixes {
		if strings.HasPrefix(image.Name, m.key) {
			return "managed by " + m.owner + " (its name): " + m.remedy
		}
	}
	if image.OwnerAlias != "" {
		return "managed by AWS (" + image.OwnerAlias + ")"
	}
	return ""
}

// managerByTags says which service manages a resource with these tags; empty if none does. Services
// write every tag key with the prefix "aws:"; only CloudFormation's does not mean that the service
// manages the resource.
func (p Policy) managerByTags(tags map[string]string) string {
	known := marks
	if p.JudgeImageBuilder {
		known = marksBesideImageBuilder
	}
	if m, ok := firstMark(known, tags); ok {
		return "managed by " + m.owner + ": " + m.remedy
	}
	first := ""
	for key := range tags {
		if strings.HasPrefix(key, "aws:") && !strings.HasPrefix(key, "aws:cloudformation:") && (first == "" || key < first) {
			first = key
		}
	}
	if first == "" {
		return ""
	}
	return "managed by an AWS service (tag " + first + ")"
}

// initials are the first letters of the keys of marks.
var initials = func() string {
	var letters strings.Builder
	for _, m := range marks {
		letters.WriteByte(m.key[0])
	}
	return letters.String()
}()

// firstMark returns the first of the marks that the tags show.
func firstMark(marks []mark, tags map[string]string) (mark, bool) {
	first := len(marks)
	for key, value := range tags {
		// Most keys are no mark; skip them fast.
		if key == "" || strings.IndexByte(initials, key[0]) < 0 {
			continue
		}
		for i := range marks[:first] {
			if marks[i].matches(key, value) {
				first = i
				break
			}
		}
	}
	if first == len(marks) {
		return mark{}, false
	}
	return marks[first], true
}

func (m *mark) matches(key, value string) bool {
	if prefix, ok := strings.CutSuffix(m.key, "*"); ok {
		return strings.HasPrefix(key, prefix)
	}
	return key == m.key && (m.value == "" || value == m.value)
}
