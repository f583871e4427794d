package doctor

import (
	"maps"
	"slices"
	"strings"

	"github.com/ami-janitor/ami-janitor/pkg/config"
	"github.com/ami-janitor/ami-janitor/pkg/usage"
)

// Request is something that the function's role asks of AWS in a run, or must never be given.
type Request struct {
	Action, Resource string
	Context          map[string][]string // The keys of IAM that the request has.
	Denied           bool                // It has to be denied.
	What             string              // What it is, in words.
}

// Place is where the function of template.yaml works.
type Place struct {
	Partition, Account, Region string

	Bucket     string   // Of the records; empty if there is none.
	Prefix     string   // Of the records in the bucket: empty, or with a slash at its end.
	Topics     []string // Their ARNs, without that of others.
	LogGroup   string   // Its name.
	FailedRuns string   // The ARN of the queue.
}

func (p Place) arn(service, resource string) string {
	return strings.Join([]string{"arn", p.Partition, service, p.Region, p.Account, resource}, ":")
}

// IAM's keys of a request.
const (
	ownerKey    = "ec2:Owner"
	publicKey   = "ec2:Public"
	tagKeysKey  = "aws:TagKeys"
	intentTag   = "aws:ResourceTag/ami-janitor:intent"
	intentWish  = "aws:RequestTag/ami-janitor:intent"
	runWish     = "aws:RequestTag/ami-janitor:run"
	keepTag     = "aws:ResourceTag/ami-janitor:keep"
	disabledTag = "aws:ResourceTag/ami-janitor:disabled"
	runTag      = "aws:ResourceTag/ami-janitor:run"
	accountKey  = "aws:ResourceAccount"
	prefixKey   = "s3:prefix"
	matchKey    = "s3:if-match"
	viaKey      = "kms:ViaService"
	topicKey    = "kms:EncryptionContext:aws:sns:topicArn"
)

// A run, for the names of its records.
const aRun = "20261130T020000Z-3f9c1a"

// requests collects them.
type requests struct {
	Place
	all []Request
}

func (r *requests) add(what, resource string, context map[string][]string, actions ...string) {
	for _, action := range actions {
		r.all = append(r.all, Request{Action: action, Resource: resource, Context: context, What: what})
	}
}

func (r *requests) never(what, resource string, context map[string][]string, actions ...string) {
	for _, action := range actions {
		r.all = append(r.all, Request{Action: action, Resource: resource, Context: context, Denied: true, What: what})
	}
}

// The resources of a removal. IAM compares their ARNs; they need not exist (IAM API Reference,
// SimulatePrincipalPolicy).
func (r *requests) image() string {
	return "arn:" + r.Partition + ":ec2:" + r.Region + "::image/ami-0123456789abcdef0"
}

func (r *requests) snapshot() string {
	return "arn:" + r.Partition + ":ec2:" + r.Region + "::snapshot/snap-0123456789abcdef0"
}

// own is the context of a request about an image or a snapshot of the account's own, and more keys
// of it, each with a value.
func (r *requests) own(more ...string) map[string][]string {
	context := map[string][]string{ownerKey: {r.Account}, publicKey: {"false"}}
	for pair := range slices.Chunk(more, 2) {
		context[pair[0]] = pair[1:]
	}
	return context
}

// tagging is own for a request that writes tags or takes them off.
func (r *requests) tagging(keys ...string) map[string][]string {
	context := r.own()
	context[tagKeysKey] = keys
	return context
}

// Requests are those of runs as they are configured: each action of docs/deploying.md with the
// resources and the conditions of a real call, and what has to be denied whatever happens.
func Requests(p Place, c config.Config) []Request {
	r := &requests{Place: p}
	r.looking(c)
	r.removing()
	r.announcing(c)
	r.records(p)
	if c.Policy.RemoveOrphans {
		r.orphans(p)
	}
	if c.Policy.DeleteBundles {
		r.bundles(c)
	}
	if c.Policy.JudgeShared {
		r.usageReports()
	}
	r.telling(c)
	r.readingObjects(c)
	r.neverDoing(c)
	return r.all
}

// looking are the calls that change nothing.
func (r *requests) looking(c config.Config) {
	r.add("look around", "*", nil,
		"ec2:DescribeImages", "ec2:DescribeSnapshots", "ec2:DescribeLockedSnapshots", "ec2:DescribeRegions", "ec2:DescribeTags",
		"ec2:ListImagesInRecycleBin", "ec2:ListSnapshotsInRecycleBin", "iam:ListAccountAliases")
	r.add("see with whom it is shared", r.image(), nil, "ec2:DescribeImageAttribute")
	r.add("see with whom it is shared", r.snapshot(), nil, "ec2:DescribeSnapshotAttribute")
	if c.Policy.RequireRecycleBin {
		r.add("see what the Recycle Bin takes", "*", nil, "rbin:ListRules")
		r.add("see what the Recycle Bin takes", r.arn("rbin", "rule/0123456789a"), nil, "rbin:GetRule")
	}
	asked := map[string]bool{}
	for _, source := range usage.Table() {
		if !slices.Contains(c.SourcesOn(), source.Name) {
			continue
		}
		for _, action := range source.Permissions {
			asked[action] = asked[action] || r.isNeeded(action, c)
		}
	}
	if asked["ec2:DescribeImageReferences"] {
		through := map[string][]string{"aws:CalledVia": {"ec2-images.amazonaws.com"}}
		r.add("look for references (AmazonEC2ImageReferencesAccessPolicy)", "*", through,
			"imagebuilder:ListImageRecipes", "imagebuilder:ListContainerRecipes", "imagebuilder:GetContainerRecipe")
	}
	for _, action := range slices.Sorted(maps.Keys(asked)) {
		if asked[action] {
			r.add("look for use", r.looksAt(action), nil, action)
		}
	}
	for _, list := range c.KeepLists {
		if _, _, isParameter := list.Parameter(); isParameter && !asked["ssm:GetParameters"] {
			asked["ssm:GetParameters"] = true
			r.add("read the keep list", r.looksAt("ssm:GetParameters"), nil, "ssm:GetParameters")
		}
	}
}

// isNeeded reports whether runs with these settings make a call of one of their sources. Those to
// S3 have places of their own.
func (r *requests) isNeeded(action string, c config.Config) bool {
	switch {
	case action == "ec2:DescribeFleets":
		return c.TemplateVersions > 0
	case action == "cloudformation:GetTemplate":
		return c.StackTemplates
	case strings.HasPrefix(action, "imagebuilder:"):
		return c.Policy.JudgeImageBuilder
	default:
		return !strings.HasPrefix(action, "s3:") && !strings.HasPrefix(action, "kms:")
	}
}

// looksAt is a resource that a call is about; * if it cannot be limited to any (Service
// Authorization Reference).
func (r *requests) looksAt(action string) string {
	switch action {
	case "elasticmapreduce:DescribeCluster", "elasticmapreduce:ListInstanceFleets", "elasticmapreduce:ListInstanceGroups":
		return r.arn("elasticmapreduce", "cluster/j-EXAMPLE")
	case "sagemaker:DescribeCluster":
		return r.arn("sagemaker", "cluster/example")
	case "pcs:ListComputeNodeGroups":
		return r.arn("pcs", "cluster/pcs_example")
	case "pcs:GetComputeNodeGroup":
		return r.arn("pcs", "cluster/pcs_example/computenodegroup/pcs_example")
	case "cloudformation:GetTemplate":
		return r.arn("cloudformation", "stack/example/51af3dc0-da77-11e4-872e-1234567db123")
	case "ssm:GetParameters":
		return r.arn("ssm", "parameter/example")
	default:
		return "*"
	}
}

// removing are the changes of a removal, with the tags that the run has written before.
func (r *requests) removing() {
	declares := r.tagging("ami-janitor:intent", "ami-janitor:run")
	declares[intentWish], declares[runWish] = []string{"remove"}, []string{aRun}
	for _, resource := range []string{r.image(), r.snapshot()} {
		r.add("declare a removal", resource, declares, "ec2:CreateTags")
		taken := r.tagging("ami-janitor:intent", "ami-janitor:run")
		delete(taken, ownerKey) // IAM does not know it here.
		r.add("take a declaration back", resource, taken, "ec2:DeleteTags")
	}
	r.add("remove what is declared", r.image(), r.own(intentTag, "remove"), "ec2:DeregisterImage")
	r.add("remove what is declared", r.snapshot(), r.own(intentTag, "remove"), "ec2:DeleteSnapshot")
}

// announcing are the changes of announcements, and those that take them back whatever the settings.
func (r *requests) announcing(c config.Config) {
	r.add("note an objection", r.image(), r.tagging("ami-janitor:restored"), "ec2:CreateTags")
	r.add("take an announcement back", r.image(), r.tagging("ami-janitor:due", "ami-janitor:announced-by", "ami-janitor:disabled"), "ec2:DeleteTags")
	r.add("take an announcement back", r.image(), r.own(disabledTag, aRun), "ec2:EnableImage")
	r.add("take an announcement back", r.image(), r.own(), "ec2:DisableImageDeprecation")
	if c.Policy.Grace > 0 {
		r.add("announce a removal", r.image(), r.tagging("ami-janitor:due", "ami-janitor:announced-by", "ami-janitor:disabled"), "ec2:CreateTags")
	}
	switch c.Policy.GraceAction {
	case "deprecate":
		r.add("deprecate until the removal", r.image(), r.own(), "ec2:EnableImageDeprecation")
	case "disable":
		r.add("disable until the removal", r.image(), r.own(), "ec2:DisableImage")
	default:
	}
}

// records are the calls to the bucket of the records.
func (r *requests) records(p Place) {
	if p.Bucket == "" {
		return
	}
	bucket := "arn:" + p.Partition + ":s3:::" + p.Bucket
	ours := map[string][]string{accountKey: {p.Account}}
	for _, prefix := range []string{"runs/", "removals/", "unfinished/", "locks/", "account.json", "sums.json"} {
		r.add("list the records", bucket, map[string][]string{accountKey: {p.Account}, prefixKey: {p.Prefix + prefix}}, "s3:ListBucket")
	}
	for _, key := range []string{
		"runs/" + aRun + "/record.json", "removals/" + p.Region + "/ami-0123456789abcdef0/" + aRun + ".json", "locks/" + p.Region + ".json", "account.json", "sums.json",
	} {
		r.add("keep the records", bucket+"/"+p.Prefix+key, ours, "s3:GetObject", "s3:PutObject")
	}
	r.add("keep the records", bucket+"/"+p.Prefix+"unfinished/"+p.Region+"/"+aRun, ours, "s3:PutObject", "s3:DeleteObject")
	r.never("delete a record", bucket+"/"+p.Prefix+"removals/"+p.Region+"/ami-0123456789abcdef0/"+aRun+".json", ours, "s3:DeleteObject")
}

// orphans are the calls by which snapshots whose image is gone are announced and taken back.
func (r *requests) orphans(p Place) {
	for _, keys := range [][]string{{"ami-janitor:due", "ami-janitor:announced-by"}, {"ami-janitor:restored"}} {
		r.add("announce the removal of a snapshot", r.snapshot(), r.tagging(keys...), "ec2:CreateTags")
	}
	taken := r.tagging("ami-janitor:due", "ami-janitor:announced-by")
	delete(taken, ownerKey) // IAM does not know it here.
	r.add("take the announcement of a snapshot back", r.snapshot(), taken, "ec2:DeleteTags")
	if p.Bucket == "" {
		return
	}
	bucket := "arn:" + p.Partition + ":s3:::" + p.Bucket
	r.add("list what is known of snapshots", bucket, map[string][]string{accountKey: {p.Account}, prefixKey: {p.Prefix + "orphans/"}}, "s3:ListBucket")
	r.add("note what is known of snapshots", bucket+"/"+p.Prefix+"orphans/"+p.Region+"/ami-janitor.json", map[string][]string{accountKey: {p.Account}}, "s3:GetObject", "s3:PutObject")
}

// bundles are the calls by which the bundles of instance-store images are deleted.
func (r *requests) bundles(c config.Config) {
	ours := map[string][]string{accountKey: {r.Account}}
	unchanged := map[string][]string{accountKey: {r.Account}, matchKey: {`"d41d8cd98f00b204e9800998ecf8427e"`}}
	for _, name := range c.Policy.BundleBuckets {
		bucket := "arn:" + r.Partition + ":s3:::" + name
		r.add("look at a bucket of bundles", bucket, ours, "s3:GetBucketVersioning", "s3:GetLifecycleConfiguration", "s3:ListBucket", "s3:ListBucketVersions")
		for _, object := range []string{bucket + "/image.manifest.xml", bucket + "/image.part.0"} {
			r.add("read a bundle", object, ours, "s3:GetObject")
			r.add("delete a bundle that is as it was read", object, unchanged, "s3:DeleteObject")
			r.never("delete a bundle, whatever it is by now", object, ours, "s3:DeleteObject")
			r.never("delete a version of a bundle", object, unchanged, "s3:DeleteObjectVersion")
		}
		r.never("delete an object of no bundle", bucket+"/notes.txt", unchanged, "s3:DeleteObject")
	}
}

// usageReports are the calls by which use by other accounts is ruled out.
func (r *requests) usageReports() {
	report := r.arn("ec2", "image-usage-report/amiur-0123456789abcdef0")
	tagged := map[string][]string{tagKeysKey: {"ami-janitor:run"}}
	created := maps.Clone(tagged)
	created["ec2:CreateAction"] = []string{"CreateImageUsageReport"}
	r.add("read usage reports", "*", nil, "ec2:DescribeImageUsageReports", "ec2:DescribeImageUsageReportEntries")
	r.add("ask for a usage report", r.image(), r.own(), "ec2:CreateImageUsageReport")
	r.add("ask for a usage report", report, tagged, "ec2:CreateImageUsageReport")
	r.add("ask for a usage report", report, created, "ec2:CreateTags")
	r.add("clean up a usage report", report, map[string][]string{runTag: {aRun}}, "ec2:DeleteImageUsageReport")
	r.never("clean up a usage report of others", report, nil, "ec2:DeleteImageUsageReport")
}

// telling are the calls for digests, the log, and what Lambda does as the function.
func (r *requests) telling(c config.Config) {
	for _, topic := range r.Topics {
		r.add("publish the digest", topic, nil, "sns:Publish")
	}
	if other := c.OwnersTopicARN; other != "" && !slices.Contains(r.Topics, other) {
		through := map[string][]string{viaKey: {"sns." + part(other, 3) + ".amazonaws.com"}, topicKey: {other}}
		r.add("tell the owners", other, nil, "sns:Publish")
		r.add("tell the owners", "*", through, "kms:Decrypt", "kms:GenerateDataKey")
	}
	if r.LogGroup != "" {
		r.add("write the log", r.arn("logs", "log-group:"+r.LogGroup+":log-stream:example"), nil, "logs:CreateLogStream", "logs:PutLogEvents")
	}
	if r.FailedRuns != "" {
		r.add("hand over failed runs", r.FailedRuns, nil, "sqs:SendMessage")
	}
}

// readingObjects are the calls for keep lists and text in S3.
func (r *requests) readingObjects(c config.Config) {
	read := func(what, bucket, key string) {
		r.add(what, "arn:"+r.Partition+":s3:::"+bucket, nil, "s3:ListBucket")
		r.add(what, "arn:"+r.Partition+":s3:::"+bucket+"/"+key, nil, "s3:GetObject")
	}
	isRead := false
	for _, list := range c.KeepLists {
		if bucket, key, ok := list.Object(); ok {
			isRead = true
			if key == "" || strings.HasSuffix(key, "/") {
				key += "example.txt"
			}
			read("read the keep list", bucket, key)
		}
	}
	for _, place := range c.TextObjects {
		isRead = true
		bucket, key, _ := strings.Cut(strings.TrimPrefix(place.String(), "s3://"), "/")
		read("read text in S3", bucket, strings.NewReplacer("*", "example", "?", "x").Replace(key))
	}
	if isRead {
		r.add("decrypt objects", "*", map[string][]string{viaKey: {"s3." + r.Region + ".amazonaws.com"}}, "kms:Decrypt")
	}
}

// neverDoing are requests that have to be denied even if the code is wrong: a removal without its
// tags above all.
func (r *requests) neverDoing(c config.Config) {
	removal := map[string]string{"ec2:DeregisterImage": r.image(), "ec2:DeleteSnapshot": r.snapshot()}
	contexts := map[string]map[string][]string{
		"remove what is not declared":           r.own(),
		"remove what is declared otherwise":     r.own(intentTag, "keep"),
		"remove what a tag keeps":               r.own(intentTag, "remove", keepTag, "true"),
		"remove what AWS Backup manages":        r.own(intentTag, "remove", "aws:ResourceTag/aws:backup:source-resource", "i-0123456789abcdef0"),
		"remove a copy that AWS Backup manages": r.own(intentTag, "remove", "aws:ResourceTag/AWSBackupManagedResource", "true"),
		"remove what is another account's":      {ownerKey: {"999988887777"}, publicKey: {"false"}, intentTag: {"remove"}},
	}
	for _, what := range slices.Sorted(maps.Keys(contexts)) {
		for _, action := range slices.Sorted(maps.Keys(removal)) {
			r.never(what, removal[action], contexts[what], action)
		}
	}
	public := r.own(intentTag, "remove")
	public[publicKey] = []string{"true"}
	if !c.Policy.JudgeShared {
		r.never("remove a public image", r.image(), public, "ec2:DeregisterImage")
	}
	r.never("disable a public image", r.image(), public, "ec2:DisableImage")
	r.never("disable what a tag keeps", r.image(), r.own(keepTag, "true"), "ec2:DisableImage")
	r.never("take a keep tag off", r.image(), r.tagging("ami-janitor:keep"), "ec2:DeleteTags")
	r.never("take all tags off", r.image(), r.own(), "ec2:DeleteTags")
	r.never("declare what is another account's", r.image(), map[string][]string{
		ownerKey: {"999988887777"}, intentWish: {"remove"}, tagKeysKey: {"ami-janitor:intent", "ami-janitor:run"},
	}, "ec2:CreateTags")
	r.never("change a rule of the Recycle Bin", r.arn("rbin", "rule/0123456789a"), nil, "rbin:DeleteRule", "rbin:UpdateRule")
	r.never("read a secret", "*", map[string][]string{viaKey: {"ssm." + r.Region + ".amazonaws.com"}}, "kms:Decrypt")
}
