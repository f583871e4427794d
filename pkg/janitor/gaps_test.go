package janitor_test

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/usage"
)

// remedyFor is a part of what there is to do about a read that goes wrong, by the way in which it
// does.
var remedyFor = map[string]string{
	"denied": "Allow {action} ", "throttled": "AWS throttled the calls.", "broken": "The next run looks again.", "not known": "does not know this action.",
	"web page": "No AWS service answers like this.", "empty": "No AWS service answers like this.", "truncated": "No AWS service answers like this.", "unreachable": "AWS could not be reached.",
}

// places are the three places in which a run tells of what it could not find out, each on one line.
type places struct{ digest, record, explained string }

// tell runs dry, and explains images.
func tell(t *testing.T, doer emulator.Doer, s settings, images ...string) places {
	t.Helper()
	record := run(t, doer, s, true)
	var missing []string // What keeps images, with what to do about it.
	for _, region := range record.Regions {
		missing = append(missing, region.Error+region.Hold+": "+region.Remedy, region.RemainsGap+": "+region.RemainsRemedy)
		for _, gap := range region.Gaps {
			missing = append(missing, string(gap.Code)+": "+gap.Detail+" ("+strings.Join(gap.ImageIDs, ", ")+"): "+gap.Remedy)
		}
	}
	explanations, err := newJanitor(t, doer, s).Explain(t.Context(), images)
	explained := digest.ExplainText(explanations, 0)
	if err != nil {
		explained += err.Error()
	}
	flat := func(text string) string { return strings.Join(strings.Fields(text), " ") }
	return places{flat(digest.Text(record)), flat(strings.Join(missing, "\n")), flat(explained)}
}

// check checks that all three places tell of what is missing, and what to do about it.
func (w places) check(t *testing.T, wants ...string) {
	t.Helper()
	for place, text := range map[string]string{"the digest": w.digest, "the record": w.record, "explain": w.explained} {
		for _, want := range wants {
			if !strings.Contains(text, want) {
				t.Errorf("%s does not say %q:\n%s", place, want, text)
			}
		}
	}
}

// Whichever read goes wrong, in whichever way: digest, record and explain name the action, and say
// what to do. What there is to go wrong is not listed here but seen in the calls of a run.
func TestEveryReadThatFailsIsNamedWithItsRemedy(t *testing.T) {
	t.Parallel()
	var reads map[string]int
	bubble(t, func(t *testing.T) { reads, _ = readsOf(t) })
	delete(reads, "DescribeTags")       // A dry run does not declare anything.
	delete(reads, "ListAccountAliases") // The alias is only shown.
	for _, action := range thinned(slices.Sorted(maps.Keys(reads)), 4) {
		for kind, fault := range readFaults {
			if kind == "truncated" && action != "DescribeInstances" || kind == "empty" && action != "GetParameters" {
				continue // They are told of like a web page.
			}
			t.Run(action+" "+kind, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					service := ""
					doer := on(everything(t).Client(), func(q emulator.Request, _ int) bool {
						if q.Action == action && service == "" {
							service = q.Service // Several may have an action of this name.
						}
						return q.Action == action && q.Service == service
					}, fault)
					said := tell(t, doer, everythingOn, imageID(1), imageID(3))
					needed := permissionFor(action)
					remedy := strings.ReplaceAll(remedyFor[kind], "{action}", service+":"+needed)
					if kind == "broken" && isOfTheBin(action) {
						remedy = "The next run plans again."
					}
					if kind == "web page" && isOfS3(action) {
						needed = action
					}
					if kind == "web page" && action == "GetObject" { // Any page can be an object.
						remedy = "S3 answered GetObject without ETag"
					}
					said.check(t, needed, remedy)
				})
			})
		}
	}
}

// permissionFor is the permission for a call (Service Authorization Reference, "Actions defined by
// Amazon S3").
func permissionFor(action string) string {
	if action == "ListObjectsV2" {
		return "ListBucket"
	}
	return action
}

// A gap that is about one thing names it: template and version, parameter, snapshot, image or rule,
// with what to do about that.
func TestEveryGapNamesItsHolder(t *testing.T) {
	t.Parallel()
	const foreign = "arn:aws:ssm:eu-west-1:111122223333:parameter/golden/web"
	stale := world{images: []object{image(1, 400, 300, 1)}}
	naming := func(image string) world {
		w := stale
		w.versions = []object{templateVersion(7, image)}
		return w
	}
	many := world{images: []object{image(1, 400, 300, 1), image(2, 400, 0, 2), image(3, 400, 0, 3), image(4, 400, 0, 4), image(5, 400, 0, 5)}}
	template, version := "lt-00000000000000007 (template7)", "launch template lt-00000000000000007 (template7), version 1, names "
	about := func(action, field, value string) func(q emulator.Request, n int) bool {
		return func(q emulator.Request, _ int) bool { return q.Action == action && q.Form.Get(field) == value }
	}
	each := func(action string) func(q emulator.Request, n int) bool {
		return func(q emulator.Request, _ int) bool { return q.Action == action }
	}
	later := func(number int) object {
		return with(with(templateVersion(7, imageID(9)), "VersionNumber", number), "DefaultVersion", false)
	}
	withVersions := naming(imageID(9))
	withVersions = withVersions.and("describe-launch-templates.json", "LaunchTemplates", object{
		"LaunchTemplateId": "lt-00000000000000007", "LaunchTemplateName": "template7", "DefaultVersionNumber": 1, "LatestVersionNumber": 3,
	})
	withVersions.versions = append(withVersions.versions, later(2), later(3))
	rules := func(fields object) object {
		rule := object{"Identifier": "of-all", "ResourceType": "EC2_IMAGE", "Status": "available", "RetentionPeriod": object{"RetentionPeriodValue": 14, "RetentionPeriodUnit": "DAYS"}}
		maps.Copy(rule, fields)
		return rule
	}
	excluded := stale.and("list-rules.json", "Rules", rules(nil)).and("list-rules.json", "Rules", rules(object{
		"Identifier": "but-scratch", "ResourceType": "EBS_SNAPSHOT", "ExcludeResourceTags": []object{{"ResourceTagKey": "scratch", "ResourceTagValue": "yes"}},
	}))
	excluded.snapshots = []object{{"SnapshotId": snapshotID(1), "OwnerId": accountID, "State": "completed", "VolumeSize": 10, "Tags": []object{{"Key": "scratch", "Value": "yes"}}}}
	for name, c := range map[string]struct {
		world world
		s     settings
		match func(q emulator.Request, n int) bool
		fault func(emulator.Doer, *http.Request) (*http.Response, error)
		wants []string
	}{
		"a parameter that is not shared": {
			naming("resolve:ssm:" + foreign), nil, nil, nil,
			[]string{version + "SSM parameter " + foreign + ", which is not shared with this account, or not there", "Delete that version of the launch template if nobody needs it. Else have the parameter shared with this account, and allow ssm:GetParameters on it"},
		},
		"a parameter that is denied": {
			naming("resolve:ssm:/golden/web"),
			settings{"USAGE_SOURCES": "launch-templates"},
			each("GetParameters"), readFaults["denied"],
			[]string{version + "SSM parameter /golden/web, which cannot be read: ssm:GetParameters: AccessDeniedException", "Allow ssm:GetParameters on it to the role that the janitor runs with", "Or delete that version"},
		},
		"a parameter of a wrong name": {
			naming("resolve:ssm:/golden/%%"),
			settings{"USAGE_SOURCES": "launch-templates"},
			each("GetParameters"), func(_ emulator.Doer, r *http.Request) (*http.Response, error) {
				return failing(r, http.StatusBadRequest, map[string]string{"": "ValidationException"})
			},
			[]string{version + "SSM parameter /golden/%%, which cannot be read: ssm:GetParameters: ValidationException", "Parameter Store does not allow such a name. Delete that version"},
		},
		"a parameter that is left out": {
			naming("resolve:ssm:/golden/web"),
			settings{"USAGE_SOURCES": "launch-templates"},
			each("GetParameters"), func(_ emulator.Doer, r *http.Request) (*http.Response, error) {
				return reply(r, http.StatusOK, `{"Parameters":[],"InvalidParameters":[]}`), nil
			},
			[]string{version + "SSM parameter /golden/web, which cannot be read: SSM did not answer for it", "Report it"},
		},
		"an image given in another way": {
			naming("resolve:appconfig:golden"), nil, nil, nil,
			[]string{"launch template " + template + ", version 1, names its image by resolve:appconfig:golden, which is not understood", "or give its image by its id or by resolve:ssm:"},
		},
		"the versions of one template": {
			withVersions, nil, about("DescribeLaunchTemplateVersions", "LaunchTemplateId", "lt-00000000000000007"), readFaults["denied"],
			[]string{"launch template " + template + ": ec2:DescribeLaunchTemplateVersions: UnauthorizedOperation", "Allow ec2:DescribeLaunchTemplateVersions"},
		},
		"a template without versions": {
			withVersions, nil, about("DescribeLaunchTemplateVersions", "LaunchTemplateId", "lt-00000000000000007"), func(_ emulator.Doer, r *http.Request) (*http.Response, error) {
				return reply(r, http.StatusOK, "<DescribeLaunchTemplateVersionsResponse><launchTemplateVersionSet/></DescribeLaunchTemplateVersionsResponse>"), nil
			},
			[]string{"launch template " + template + ": has no versions", "If it is listed and has no versions every night, delete it"},
		},
		"the text of a parameter": {
			stale.parameter("/secure/db", "x", nil), nil, each("GetParameters"), readFaults["denied"],
			[]string{"ssm-text: SSM parameter /secure/db cannot be read: ssm:GetParameters: AccessDeniedException", "Allow ssm:GetParameters on it"},
		},
		"the launch permissions of one image": {
			many, nil, about("DescribeImageAttribute", "ImageId", imageID(1)), readFaults["denied"],
			[]string{imageID(1), "launch permissions: ec2:DescribeImageAttribute: UnauthorizedOperation", "Allow ec2:DescribeImageAttribute"},
		},
		"the permissions of one snapshot": {
			many, nil, about("DescribeSnapshotAttribute", "SnapshotId", snapshotID(1)), readFaults["denied"],
			[]string{imageID(1), snapshotID(1) + ": with whom it is shared is not known: ec2:DescribeSnapshotAttribute: UnauthorizedOperation", "Allow ec2:DescribeSnapshotAttribute"},
		},
		"an answer about another image": {
			stale, nil, each("DescribeImageAttribute"), func(_ emulator.Doer, r *http.Request) (*http.Response, error) {
				return reply(r, http.StatusOK, "<DescribeImageAttributeResponse><imageId>"+imageID(9)+"</imageId><launchPermission/></DescribeImageAttributeResponse>"), nil
			},
			[]string{imageID(1), "ec2:DescribeImageAttribute: EC2 answered for", imageID(9), "Report it"},
		},
		"a listing in a circle": {
			stale, nil, each("DescribeSpotFleetRequests"), func(_ emulator.Doer, r *http.Request) (*http.Response, error) {
				return reply(r, http.StatusOK, "<DescribeSpotFleetRequestsResponse><spotFleetRequestConfigSet/><nextToken>again</nextToken></DescribeSpotFleetRequestsResponse>"), nil
			},
			[]string{"spot-fleets: ec2:DescribeSpotFleetRequests: the listing leads back to a page that was read before", "Report it"},
		},
		"a rule that excludes a snapshot": {
			excluded,
			settings{"REQUIRE_RECYCLE_BIN": "true"},
			nil, nil,
			[]string{imageID(1), "its snapshot " + snapshotID(1) + ": no Recycle Bin rule covers it, with the tags that it has: rule but-scratch excludes scratch=yes", "Take that tag off"},
		},
		"a rule that cannot be read": {
			excluded,
			settings{"REQUIRE_RECYCLE_BIN": "true"},
			each("GetRule"), readFaults["denied"],
			[]string{"rule of-all: rbin:GetRule: AccessDeniedException", "Allow rbin:GetRule"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var doer emulator.Doer = c.world.load(t).Client()
				if c.match != nil {
					doer = on(doer, c.match, c.fault)
				}
				tell(t, doer, c.s, imageID(1)).check(t, c.wants...)
			})
		})
	}
}

// Where the role may do nothing of what the sources need, the digest tells of each of them, and not
// of three.
func TestAllGapsAreToldOf(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		account := world{images: []object{image(1, 400, 300, 1)}}.parameter("/app", "x", nil).load(t)
		denied := []string{
			"DescribeImageReferences", "DescribeInstances", "DescribeLaunchTemplates", "DescribeLaunchConfigurations", "DescribeAutoScalingGroups", "DescribeSpotFleetRequests",
			"DescribeSpotInstanceRequests", "DescribeParameters", "DescribeFastLaunchImages", "DescribeFastSnapshotRestores", "DescribeImageAttribute", "ListObjectsV2",
			"DescribeExportImageTasks", "DescribeStacks", "DescribeComputeEnvironments", "ListClusters", "DescribeDBEngineVersions",
			"ListImageRecipes",
		}
		doer := on(account.Client(), func(q emulator.Request, _ int) bool { return slices.Contains(denied, q.Action) }, readFaults["denied"])
		said := tell(t, doer, settings{"TEXT_OBJECTS": "s3://states/", "IMAGE_BUILDER_IMAGES": "judge"}, imageID(1))
		for n, action := range denied {
			denied[n] = permissionFor(action)
		}
		said.check(t, append(usage.DefaultSources(), denied...)...)
		// Three services have an action of this name.
		denied = slices.DeleteFunc(denied, func(action string) bool { return action == "ListClusters" })
		denied = append(denied, "pcs:ListClusters", "elasticmapreduce:ListClusters", "sagemaker:ListClusters")
		for _, action := range denied {
			if !strings.Contains(action, ":") {
				action = ":" + action
			}
			if want := action + " to the role"; !strings.Contains(said.digest, want) || !strings.Contains(said.explained, want) {
				t.Errorf("nobody says to allow %s:\n%s", action, said.digest)
			}
		}
	})
}
