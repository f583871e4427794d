"""Talks to the emulated account with the real AWS CLI, which shares no code with ours.

usage: aws_cli_test.py AMI-JANITOR AWS

Each test has an account of its own, served by `AMI-JANITOR emulate` on a free port. What `AMI-JANITOR export` writes of it has to be
what the CLI prints.
"""

import base64
import concurrent.futures
import datetime
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest
import urllib.request

JANITOR, AWS = (os.path.abspath(path) for path in sys.argv[1:3])
EMULATOR = pathlib.Path(__file__).parent.parent / "pkg" / "emulator"
NOW = "2026-11-23T02:00:00Z"
TOPIC = "arn:aws:sns:us-east-1:123456789012:digest"

used = set()  # The actions that the CLI was answered, as EC2 spells them.


class Refused(Exception):
    """What the CLI says when AWS refuses. Its code is AWS's."""

    def __init__(self, stderr):
        super().__init__(stderr.strip())
        found = re.search(r"An error occurred \(([\w.]+)\)", stderr)
        self.code = found and found[1]


class CLI(unittest.TestCase):
    COPY = ()  # The built-in account.

    def setUp(self):
        home = tempfile.TemporaryDirectory()  # No configuration but ours.
        self.addCleanup(home.cleanup)
        self.home = pathlib.Path(home.name)
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": home.name,
            "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_MAX_ATTEMPTS": "1",
            "AWS_PAGER": "",
        }
        emulator = subprocess.Popen(
            [JANITOR, "emulate", "--listen", "127.0.0.1:0", "--now", NOW, *self.COPY],
            env=self.environment, stdout=subprocess.PIPE, text=True,
        )
        self.addCleanup(emulator.stdout.close)
        self.addCleanup(emulator.wait, timeout=10)
        self.addCleanup(emulator.terminate)
        self.endpoint = emulator.stdout.readline().strip()
        self.assertRegex(self.endpoint, r"^http://127\.0\.0\.1:\d+$")
        self.environment["AWS_ENDPOINT_URL"] = self.endpoint

    def aws(self, service, command, *arguments):
        """Runs a command of the CLI, and returns what it prints."""
        endpoint = ("--endpoint-url", self.endpoint) if service == "rds" else ()  # Its commands ignore the variable.
        run = subprocess.run(
            [AWS, service, command, *arguments, *endpoint, "--output", "json"],
            env=self.environment, capture_output=True, text=True, timeout=60, check=False,
        )
        if run.returncode:
            raise Refused(run.stderr)
        used.add("".join(map(str.capitalize, command.split("-"))))
        return json.loads(run.stdout or "{}")

    def all_of(self, command, *arguments, service="ec2"):
        """The one list in an answer."""
        (listing,) = (value for value in self.aws(service, command, *arguments).values() if isinstance(value, list))
        return listing

    def assertRefused(self, code, *command):
        with self.assertRaises(Refused) as refused:
            self.aws(*command)
        self.assertEqual(refused.exception.code, code, refused.exception)

    def images(self):
        return self.all_of("describe-images", "--owners", "self", "--include-deprecated", "--include-disabled")

    def one(self, name):
        """The image of a name."""
        (image,) = self.all_of("describe-images", "--owners", "self", "--include-disabled", "--include-deprecated",
                               "--filters", f"Name=name,Values={name}")
        return image

    def snapshots_of(self, image):
        return [m["Ebs"]["SnapshotId"] for m in image["BlockDeviceMappings"] if "SnapshotId" in m.get("Ebs", {})]

    def launch_permissions(self, image_id):
        try:
            answer = self.aws("ec2", "describe-image-attribute", "--attribute", "launchPermission", "--image-id", image_id)
        except Refused as refused:
            self.assertEqual(refused.code, "UnauthorizedOperation", refused)
            return None  # Whoever exports may not see them.
        return answer.get("LaunchPermissions", [])

    def tags(self, image_id):
        (image,) = self.all_of("describe-images", "--image-ids", image_id)
        return {tag["Key"]: tag["Value"] for tag in image.get("Tags", [])}


class Reading(CLI):
    def test_the_caller_and_the_regions_are_the_accounts(self):
        self.assertEqual(self.aws("sts", "get-caller-identity")["Account"], "123456789012")
        self.assertEqual(self.aws("iam", "list-account-aliases")["AccountAliases"], ["example-prod"])
        self.assertIn("us-east-1", [r["RegionName"] for r in self.all_of("describe-regions")])

    def test_a_listing_is_the_same_in_pages_and_in_one(self):
        for service, command, *arguments in (
            ("ec2", "describe-images", "--owners", "self"),
            ("ec2", "describe-snapshots", "--owner-ids", "self"),
            ("ec2", "describe-instances"),
            ("ec2", "describe-launch-templates"),
            ("ec2", "describe-launch-template-versions", "--versions", "$Latest", "$Default"),
            ("ec2", "describe-spot-fleet-requests"),
            ("ec2", "describe-spot-instance-requests"),
            ("ec2", "describe-fast-launch-images"),
            ("ec2", "describe-fast-snapshot-restores"),
            ("ec2", "describe-export-image-tasks"),
            ("ec2", "describe-store-image-tasks"),
            ("ec2", "describe-replace-root-volume-tasks"),
            ("autoscaling", "describe-auto-scaling-groups"),
            ("autoscaling", "describe-launch-configurations"),
            ("ssm", "describe-parameters"),
            ("rbin", "list-rules", "--resource-type", "EC2_IMAGE"),
        ):
            with self.subTest(command):
                whole = self.all_of(command, *arguments, service=service)
                self.assertTrue(whole)
                self.assertEqual(self.all_of(command, *arguments, "--page-size", "5", service=service), whole)

    def test_a_listing_can_be_cut_short_and_taken_up_again(self):
        for command, *arguments in (("describe-images", "--owners", "self"), ("describe-snapshots", "--owner-ids", "self")):
            with self.subTest(command):
                listing = {"images": "Images", "snapshots": "Snapshots"}[command.removeprefix("describe-")]
                first = self.aws("ec2", command, *arguments, "--max-items", "30", "--page-size", "7")
                rest = self.aws("ec2", command, *arguments, "--starting-token", first["NextToken"])
                self.assertEqual(len(first[listing]), 30)
                self.assertEqual(first[listing] + rest[listing], self.all_of(command, *arguments))

    def test_a_stack_leads_to_its_function(self):
        asked = ("--logical-resource-id", "JanitorFunction")
        detail = self.aws("cloudformation", "describe-stack-resource", "--stack-name", "ami-janitor", *asked)["StackResourceDetail"]
        self.assertEqual(self.aws("cloudformation", "describe-stack-resource", "--stack-name", detail["StackId"], *asked)["StackResourceDetail"], detail)
        function = self.aws("lambda", "get-function-configuration", "--function-name", detail["PhysicalResourceId"])
        self.assertEqual(function["Environment"]["Variables"]["STACK_NAME"], "ami-janitor")
        self.assertEqual(self.aws("lambda", "get-function-configuration", "--function-name", function["FunctionArn"]), function)

    def test_locks_are_listed(self):
        locks = self.all_of("describe-locked-snapshots")
        self.assertTrue(locks)
        self.assertEqual(self.all_of("describe-locked-snapshots", "--max-results", "5"), locks)
        one = locks[0]["SnapshotId"]
        self.assertEqual([lock["SnapshotId"] for lock in self.all_of("describe-locked-snapshots", "--snapshot-ids", one)], [one])

    def test_references_name_what_refers_to_an_image(self):
        launched = [i["ImageId"] for r in self.all_of("describe-instances") for i in r["Instances"]]
        templated = [v["LaunchTemplateData"]["ImageId"]
                     for v in self.all_of("describe-launch-template-versions", "--versions", "$Latest")
                     if v["LaunchTemplateData"].get("ImageId", "").startswith("ami-")]
        ids = list(dict.fromkeys([launched[0], templated[0]]))
        references = self.all_of("describe-image-references", "--image-ids", *ids, "--include-all-resource-types")
        self.assertLessEqual(
            {(launched[0], "ec2:Instance"), (templated[0], "ec2:LaunchTemplate")},
            {(r["ImageId"], r["ResourceType"]) for r in references},
        )
        self.assertEqual(
            self.all_of("describe-image-references", "--image-ids", *ids, "--include-all-resource-types", "--page-size", "5"),
            references,
        )
        narrowed = self.all_of("describe-image-references", "--image-ids", *ids, "--resource-types", "ResourceType=ec2:Instance")
        self.assertEqual({r["ResourceType"] for r in narrowed}, {"ec2:Instance"})

    def test_groups_and_fleets_name_images(self):
        (group,) = (g for g in self.all_of("describe-auto-scaling-groups", service="autoscaling") if "MixedInstancesPolicy" in g)
        self.assertTrue([o["ImageId"] for o in group["MixedInstancesPolicy"]["LaunchTemplate"]["Overrides"] if "ImageId" in o])
        name = group["AutoScalingGroupName"]
        self.assertEqual(self.all_of("describe-auto-scaling-groups", "--auto-scaling-group-names", name, service="autoscaling"), [group])
        (configuration,) = self.all_of("describe-launch-configurations", service="autoscaling")
        self.assertEqual(configuration["ImageId"], self.one("batch-queue")["ImageId"])
        states = {f["SpotFleetRequestConfig"]["LaunchSpecifications"][0]["ImageId"]: f["SpotFleetRequestState"]
                  for f in self.all_of("describe-spot-fleet-requests")}
        self.assertEqual(states[self.one("risk-simulation")["ImageId"]], "active")
        (request,) = self.all_of("describe-spot-instance-requests", "--filters", "Name=state,Values=open,active")
        self.assertEqual(request["LaunchSpecification"]["ImageId"], self.one("price-crawler")["ImageId"])
        self.assertEqual(self.all_of("describe-fleets"), [])

    def test_parameters_have_versions_and_labels(self):
        names = [p["Name"] for p in self.all_of("describe-parameters", "--parameter-filters", "Key=DataType,Values=aws:ec2:image", service="ssm")]
        self.assertIn("/kiosk/image", names)
        (text,) = self.all_of("describe-parameters", "--parameter-filters", "Key=Type,Values=String", "Key=Name,Option=BeginsWith,Values=/deploy/", service="ssm")
        arn = text["ARN"]
        answer = self.aws("ssm", "get-parameters", "--names", "/kiosk/image", "/kiosk/image:stable", arn, "absent", "--with-decryption")
        self.assertEqual(answer["InvalidParameters"], ["absent"])
        found = {p["Name"] + p.get("Selector", ""): p["Value"] for p in answer["Parameters"]}
        self.assertEqual(found["/kiosk/image:stable"], self.one("kiosk")["ImageId"])
        self.assertNotEqual(found["/kiosk/image"], found["/kiosk/image:stable"])
        self.assertIn(self.one("license-server")["ImageId"], found[text["Name"]])

    def test_launch_permissions_say_who_may_launch(self):
        public = next(image["ImageId"] for image in self.images() if image["Public"])
        answer = self.aws("ec2", "describe-image-attribute", "--attribute", "launchPermission", "--image-id", public)
        self.assertIn({"Group": "all"}, answer["LaunchPermissions"])


    def test_tags_are_listed_one_by_one(self):
        image = self.one("quarter-close")
        # The CLI pages this listing by itself.
        tags = self.all_of("describe-tags", "--filters", f"Name=resource-id,Values={image['ImageId']}")
        self.assertEqual({(t["Key"], t["Value"]) for t in tags}, {(t["Key"], t["Value"]) for t in image["Tags"]})
        self.assertEqual({t["ResourceType"] for t in tags}, {"image"})
        whole = self.all_of("describe-tags")
        self.assertEqual(self.all_of("describe-tags", "--page-size", "100"), whole)
        self.assertLessEqual({"image", "snapshot"}, {t["ResourceType"] for t in whole})

    def test_permissions_say_who_may_make_a_volume(self):
        (snapshot,) = (s for s in self.all_of("describe-snapshots", "--owner-ids", "self") if s["VolumeSize"] == 90)
        answer = self.aws("ec2", "describe-snapshot-attribute", "--attribute", "createVolumePermission",
                          "--snapshot-id", snapshot["SnapshotId"])
        self.assertEqual(answer, {"SnapshotId": snapshot["SnapshotId"], "CreateVolumePermissions": [{"UserId": "111122223333"}]})


class Writing(CLI):
    def test_tags_are_set_replaced_and_taken_off(self):
        image = self.images()[0]["ImageId"]
        before = self.tags(image)
        for value in ("1", "2"):
            self.aws("ec2", "create-tags", "--resources", image, "--tags", f"Key=a,Value={value}")
            self.assertEqual(self.tags(image), before | {"a": value})
        self.aws("ec2", "delete-tags", "--resources", image, "--tags", "Key=a,Value=1")
        self.assertEqual(self.tags(image), before | {"a": "2"}, "another value")
        self.aws("ec2", "delete-tags", "--resources", image, "--tags", "Key=a")
        self.assertEqual(self.tags(image), before)

    def test_deregistering_takes_the_image_and_its_snapshots(self):
        image = self.one("web-2025-07-10-0412")
        snapshots = self.snapshots_of(image)
        self.assertTrue(snapshots)
        answer = self.aws("ec2", "deregister-image", "--image-id", image["ImageId"], "--delete-associated-snapshots")
        self.assertEqual(
            [(r["SnapshotId"], r["ReturnCode"]) for r in answer["DeleteSnapshotResults"]], [(s, "success") for s in snapshots])
        self.assertRefused("InvalidAMIID.Unavailable", "ec2", "deregister-image", "--image-id", image["ImageId"])
        self.assertRefused("InvalidSnapshot.NotFound", "ec2", "describe-snapshots", "--snapshot-ids", *snapshots)

    def test_snapshots_are_deleted_when_no_image_maps_them(self):
        image = self.one("web-2025-07-10-0412")
        snapshot = self.snapshots_of(image)[0]
        self.assertRefused("InvalidSnapshot.InUse", "ec2", "delete-snapshot", "--snapshot-id", snapshot)
        self.aws("ec2", "deregister-image", "--image-id", image["ImageId"])
        self.aws("ec2", "delete-snapshot", "--snapshot-id", snapshot)
        self.assertRefused("InvalidSnapshot.NotFound", "ec2", "delete-snapshot", "--snapshot-id", snapshot)

    def test_a_disabled_image_can_be_enabled_and_is_shared_no_more(self):
        image = next(i["ImageId"] for i in self.images() if i["Public"])

        def state():
            return next((i["State"], i["Public"]) for i in self.images() if i["ImageId"] == image)

        self.assertIs(self.aws("ec2", "disable-image", "--image-id", image)["Return"], True)
        self.assertEqual(state(), ("disabled", False))
        self.assertIs(self.aws("ec2", "enable-image", "--image-id", image)["Return"], True)
        self.assertEqual(state(), ("available", False))
        self.assertEqual(self.launch_permissions(image), [])

    def test_a_date_for_deprecation_is_set_and_taken_off(self):
        image = self.one("quarter-close")["ImageId"]
        answer = self.aws("ec2", "enable-image-deprecation", "--image-id", image, "--deprecate-at", "2027-01-01T00:00:40Z")
        self.assertIs(answer["Return"], True)
        self.assertEqual(self.one("quarter-close")["DeprecationTime"], "2027-01-01T00:01:00Z")
        self.assertIs(self.aws("ec2", "disable-image-deprecation", "--image-id", image)["Return"], True)
        self.assertNotIn("DeprecationTime", self.one("quarter-close"))

    def test_a_usage_report_is_begun_tagged_and_deleted(self):
        image = self.one("quarter-close")["ImageId"]
        report = self.aws("ec2", "create-image-usage-report", "--image-id", image, "--resource-types", "ResourceType=ec2:Instance",
                          "ResourceType=ec2:LaunchTemplate,ResourceTypeOptions=[{OptionName=version-depth,OptionValues=[100]}]",
                          "--account-ids", "111122223333",
                          "--tag-specifications", "ResourceType=image-usage-report,Tags=[{Key=a,Value=1}]")["ReportId"]
        self.aws("ec2", "create-tags", "--resources", report, "--tags", "Key=b,Value=2")
        (shown,) = self.all_of("describe-image-usage-reports", "--image-ids", image, "--filters", "Name=tag:b,Values=2")
        self.assertEqual((shown["ReportId"], shown["State"], shown["AccountIds"]), (report, "pending", ["111122223333"]))
        self.assertEqual(shown["ResourceTypes"][1]["ResourceTypeOptions"], [{"OptionName": "version-depth", "OptionValues": ["100"]}])
        self.assertEqual(self.all_of("describe-image-usage-report-entries", "--report-ids", report), [])
        self.assertRefused("ResourceLimitExceeded", "ec2", "create-image-usage-report", "--image-id", image,
                           "--resource-types", "ResourceType=ec2:Instance")
        self.assertIs(self.aws("ec2", "delete-image-usage-report", "--report-id", report)["Return"], True)
        self.assertEqual(self.all_of("describe-image-usage-reports"), [])

    def test_a_published_message_can_be_read_back(self):
        for chat in (False, True):
            self.aws("sns", "publish", "--topic-arn", TOPIC, "--subject", "Two images removed",
                     "--message", json.dumps({"default": "short"}) if chat else "…and why: “äöü”",
                     *(["--message-structure", "json"] if chat else
                       ["--message-attributes", '{"truncated": {"DataType": "String", "StringValue": "true"}}']))
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(self.endpoint + "/_ami-janitor/messages", timeout=10) as answer:
            mail, chat = json.load(answer)
        self.assertEqual(mail, {
            "TopicArn": TOPIC, "Subject": "Two images removed", "Message": "…and why: “äöü”",
            "MessageAttributes": {"truncated": "true"},
        })
        self.assertEqual((chat["MessageStructure"], chat["Message"]), ("json", '{"default": "short"}'))


    def test_an_object_is_stored_once_read_listed_and_deleted(self):
        content = self.home / "content"
        content.write_text("{}", encoding="utf-8")
        of = ["--bucket", "records", "--key", "locks/us-east-1.json"]
        etag = self.aws("s3api", "put-object", *of, "--body", str(content), "--if-none-match", "*")["ETag"]
        self.assertRefused("PreconditionFailed", "s3api", "put-object", *of, "--body", str(content), "--if-none-match", "*")
        self.assertEqual(self.aws("s3api", "head-object", *of)["ETag"], etag)
        read = self.home / "read"
        self.aws("s3api", "get-object", *of, str(read))
        self.assertEqual(read.read_text(encoding="utf-8"), "{}")
        (listed,) = self.all_of("list-objects-v2", "--bucket", "records", "--prefix", "locks/", service="s3api")
        self.assertEqual((listed["Key"], listed["ETag"]), (of[-1], etag))
        self.aws("s3api", "delete-object", *of)
        self.assertRefused("NoSuchKey", "s3api", "get-object", *of, str(read))

    def test_a_bundle_is_hidden_and_shown(self):
        bucket = ["--bucket", "example-bundles"]
        self.assertEqual(self.aws("s3api", "get-bucket-versioning", *bucket), {"Status": "Enabled"})
        (rule,) = self.aws("s3api", "get-bucket-lifecycle-configuration", *bucket)["Rules"]
        self.assertEqual((rule["ID"], rule["NoncurrentVersionExpiration"]), ("old-versions", {"NoncurrentDays": 30}))
        self.assertRefused("NoSuchLifecycleConfiguration", "s3api", "get-bucket-lifecycle-configuration", "--bucket", "records")
        of = [*bucket, "--key", "render-node.part.0"]
        listing = [*bucket, "--prefix", "render-node."]
        before = self.aws("s3api", "list-object-versions", *listing)["Versions"]
        self.assertEqual([v["Key"] for v in before], ["render-node.manifest.xml", "render-node.part.0", "render-node.part.1"])
        self.assertRefused("PreconditionFailed", "s3api", "delete-object", *of, "--if-match", before[0]["ETag"])
        hidden = self.aws("s3api", "delete-object", *of, "--if-match", before[1]["ETag"])
        self.assertTrue(hidden["DeleteMarker"])
        self.assertRefused("NoSuchKey", "s3api", "get-object", *of, str(self.home / "read"))
        (marker,) = self.aws("s3api", "list-object-versions", *listing)["DeleteMarkers"]
        self.assertEqual((marker["VersionId"], marker["IsLatest"]), (hidden["VersionId"], True))
        self.aws("s3api", "delete-object", *of, "--version-id", hidden["VersionId"])
        self.assertEqual(self.aws("s3api", "get-object", *of, str(self.home / "read"))["VersionId"], before[1]["VersionId"])
        self.assertEqual(self.aws("s3api", "list-object-versions", *listing)["Versions"], before)


    def test_a_keep_list_from_sources_is_an_object_and_a_parameter(self):
        sources, read = self.home / "sources", self.home / "read"
        sources.mkdir()
        (sources / "main.tf").write_text('ami = "ami-0123456789abcdef0"', encoding="utf-8")
        for location in ("s3://lists/keep/web.txt", "ssm:/amis/keep"):
            subprocess.run([JANITOR, "references", str(sources), "--write", location], env=self.environment, capture_output=True, check=True, timeout=60)
        self.aws("s3api", "get-object", "--bucket", "lists", "--key", "keep/web.txt", str(read))
        self.assertIn("\nami-0123456789abcdef0 # ", read.read_text(encoding="utf-8"))
        (listed,) = self.aws("ssm", "get-parameters", "--names", "/amis/keep")["Parameters"]
        self.assertIn("\nami-0123456789abcdef0\n", listed["Value"])
        put = ["ssm", "put-parameter", "--name", "/amis/keep", "--type", "String", "--value", "golden-*"]
        self.assertRefused("ParameterAlreadyExists", *put)
        self.assertEqual(self.aws(*put, "--overwrite")["Version"], listed["Version"] + 1)


class Making(CLI):
    BLOCK = bytes(512 << 10)

    def setUp(self):
        super().setUp()
        self.block = self.home / "block"
        self.block.write_bytes(self.BLOCK)
        self.checksum = base64.b64encode(hashlib.sha256(self.BLOCK).digest()).decode()

    def start(self, token="trial-1", size="1"):
        return self.aws("ebs", "start-snapshot", "--volume-size", size, "--client-token", token, "--description", "A trial",
                        "--tags", "Key=team,Value=search", "--timeout", "60")

    def put(self, snapshot, index="0", checksum=None):
        return ("ebs", "put-snapshot-block", "--snapshot-id", snapshot, "--block-index", index, "--block-data", str(self.block),
                "--data-length", str(len(self.BLOCK)), "--checksum", checksum or self.checksum, "--checksum-algorithm", "SHA256")

    def register(self, snapshot, name="a trial"):
        return ("ec2", "register-image", "--name", name, "--description", "A trial", "--architecture", "arm64",
                "--root-device-name", "/dev/xvda", "--virtualization-type", "hvm", "--ena-support", "--boot-mode", "uefi",
                "--block-device-mappings", f"DeviceName=/dev/xvda,Ebs={{SnapshotId={snapshot},VolumeType=gp3}}",
                "--tag-specifications", "ResourceType=image,Tags=[{Key=team,Value=search}]")

    def test_an_image_is_made_of_one_block(self):
        started = self.start()
        snapshot = started["SnapshotId"]
        self.assertEqual((started["Status"], started["BlockSize"], started["VolumeSize"], started["OwnerId"]),
                         ("pending", 524288, 1, "123456789012"))
        self.assertEqual(self.start(), started, "the same token")
        self.assertRefused("IncorrectState", *self.register(snapshot))
        self.assertEqual(self.aws(*self.put(snapshot)), {"Checksum": self.checksum, "ChecksumAlgorithm": "SHA256"})
        self.assertEqual(self.aws("ebs", "complete-snapshot", "--snapshot-id", snapshot, "--changed-blocks-count", "1"), {"Status": "pending"})
        (shown,) = self.all_of("describe-snapshots", "--snapshot-ids", snapshot)
        self.assertEqual((shown["State"], shown["Description"], shown["Tags"], shown["FullSnapshotSizeInBytes"]),
                         ("completed", "A trial", [{"Key": "team", "Value": "search"}], 524288))
        image = self.aws(*self.register(snapshot))["ImageId"]
        shown = self.one("a trial")
        self.assertEqual((shown["ImageId"], shown["State"], shown["Architecture"], shown["BootMode"], shown["EnaSupport"], shown["Public"]),
                         (image, "available", "arm64", "uefi", True, False))
        self.assertEqual(shown["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"], snapshot)
        self.assertEqual(len(self.all_of("describe-tags", "--filters", "Name=tag:team,Values=search")), 2)
        self.assertRefused("InvalidAMIName.Duplicate", *self.register(snapshot))
        self.assertRefused("DryRunOperation", "ec2", "deregister-image", "--image-id", image, "--dry-run")

    def test_what_does_not_fit_is_refused(self):
        snapshot = self.start()["SnapshotId"]
        with self.assertRaises(Refused) as refused:
            self.start(size="2")
        self.assertEqual(refused.exception.code, "ConflictException")
        self.assertRefused("ValidationException", *self.put(snapshot, index="2048"))
        self.assertRefused("ValidationException", *self.put(snapshot, checksum="A" * 43 + "="))
        self.assertRefused("ResourceNotFoundException", *self.put("snap-00000000000000000"))
        self.assertRefused("InvalidSnapshot.NotFound", *self.register("snap-00000000000000000"))


class Silent(CLI):
    COPY = ("--tags-late", "90s", "--bin-late", "10m", "--empty-lists", "left-out")  # The clock stands still.

    def test_what_is_late_is_not_seen(self):
        image = self.one("web-2025-07-10-0412")
        before = self.tags(image["ImageId"])
        self.assertRefused("UnauthorizedOperation", "ec2", "deregister-image", "--image-id", image["ImageId"])
        self.aws("ec2", "create-tags", "--resources", image["ImageId"], "--tags", RecycleBin.INTENT)
        self.assertEqual(self.tags(image["ImageId"]), before)
        self.assertRefused("UnauthorizedOperation", "ec2", "deregister-image", "--image-id", image["ImageId"], "--dry-run")

    def test_empty_lists_are_left_out(self):
        self.assertEqual(self.aws("ec2", "list-images-in-recycle-bin"), {})
        self.assertEqual(self.aws("ec2", "describe-snapshots", "--filters", "Name=description,Values=nothing"), {})


class RecycleBin(CLI):
    INTENT = "Key=ami-janitor:intent,Value=remove"

    def binned(self):
        return self.all_of("list-images-in-recycle-bin"), self.all_of("list-snapshots-in-recycle-bin")

    def test_what_is_tagged_enters_the_bin_and_comes_back(self):
        image = self.one("web-2025-07-10-0412")
        (snapshot,) = self.snapshots_of(image)
        self.aws("ec2", "create-tags", "--resources", image["ImageId"], snapshot, "--tags", self.INTENT, "Key=a,Value=1")
        before = self.tags(image["ImageId"])
        self.aws("ec2", "deregister-image", "--image-id", image["ImageId"], "--delete-associated-snapshots")
        (binned_image,), (binned_snapshot,) = self.binned()
        self.assertEqual((binned_image["ImageId"], binned_image["Name"]), (image["ImageId"], image["Name"]))
        self.assertEqual(set(binned_image), {"ImageId", "Name", "RecycleBinEnterTime", "RecycleBinExitTime"})
        self.assertEqual((binned_image["RecycleBinEnterTime"], binned_image["RecycleBinExitTime"]), (NOW, "2026-12-07T02:00:00Z"))
        self.assertEqual(set(binned_snapshot), {"SnapshotId", "VolumeId", "Description", "RecycleBinEnterTime", "RecycleBinExitTime"})
        self.assertEqual(self.all_of("list-images-in-recycle-bin", "--image-ids", image["ImageId"]), [binned_image])
        self.assertEqual(self.all_of("list-snapshots-in-recycle-bin", "--max-results", "5"), [binned_snapshot])

        self.assertRefused("InvalidAMIID.NotFound", "ec2", "describe-images", "--image-ids", image["ImageId"])
        self.aws("ec2", "delete-tags", "--resources", image["ImageId"], snapshot, "--tags", "Key=a")
        tags = {t["Key"] for t in self.all_of("describe-tags", "--filters", f"Name=resource-id,Values={image['ImageId']}")}
        self.assertEqual(tags, set(before) - {"a"} | {"aws:recycle-bin:resource-in-bin"})

        self.assertRefused("InvalidSnapshot.NotFound", "ec2", "restore-image-from-recycle-bin", "--image-id", image["ImageId"])
        restored = self.aws("ec2", "restore-snapshot-from-recycle-bin", "--snapshot-id", snapshot)
        self.assertEqual((restored["SnapshotId"], restored["State"]), (snapshot, "completed"))
        self.assertIs(self.aws("ec2", "restore-image-from-recycle-bin", "--image-id", image["ImageId"])["Return"], True)
        self.assertEqual(self.binned(), ([], []))
        self.assertEqual(self.tags(image["ImageId"]), {k: v for k, v in before.items() if k != "a"})
        self.assertRefused("InvalidAMIID.NotFound", "ec2", "restore-image-from-recycle-bin", "--image-id", image["ImageId"])

    def test_what_is_not_tagged_is_gone_for_good(self):
        image = self.one("web-2025-07-10-0412")
        self.aws("ec2", "deregister-image", "--image-id", image["ImageId"], "--delete-associated-snapshots")
        self.assertEqual(self.binned(), ([], []))
        self.assertRefused("InvalidAMIID.NotFound", "ec2", "restore-image-from-recycle-bin", "--image-id", image["ImageId"])

    def test_a_rule_is_created_shown_and_deleted(self):
        period = "RetentionPeriodValue=30,RetentionPeriodUnit=DAYS"
        created = self.aws("rbin", "create-rule", "--resource-type", "EC2_IMAGE", "--retention-period", period, "--description", "All of them",
                           "--exclude-resource-tags", "ResourceTagKey=Team,ResourceTagValue=search", "--tags", "Key=a,Value=1")
        rule = created["Identifier"]
        listed = {r["Identifier"]: r for r in self.all_of("list-rules", "--resource-type", "EC2_IMAGE", service="rbin")}
        self.assertEqual(listed[rule], {
            "Identifier": rule, "Description": "All of them", "RuleArn": f"arn:aws:rbin:us-east-1:123456789012:rule/{rule}",
            "RetentionPeriod": {"RetentionPeriodValue": 30, "RetentionPeriodUnit": "DAYS"},
        })
        shown = self.aws("rbin", "get-rule", "--identifier", rule)
        self.assertEqual((shown["Status"], shown["ResourceType"], shown["ResourceTags"]), ("available", "EC2_IMAGE", []))
        self.assertEqual(shown["ExcludeResourceTags"], [{"ResourceTagKey": "Team", "ResourceTagValue": "search"}])
        image = self.one("web-2025-07-10-0412")["ImageId"]
        self.aws("ec2", "deregister-image", "--image-id", image)
        self.aws("ec2", "deregister-image", "--image-id", self.one("worker-1.38.0-77d30fa")["ImageId"])
        self.assertEqual([i["ImageId"] for i in self.binned()[0]], [image])
        self.aws("rbin", "delete-rule", "--identifier", rule)
        self.assertRefused("ResourceNotFoundException", "rbin", "get-rule", "--identifier", rule)
        self.assertRefused("ValidationException", "rbin", "create-rule", "--resource-type", "EC2_IMAGE",
                           "--retention-period", "RetentionPeriodValue=366,RetentionPeriodUnit=DAYS")

    def test_the_rules_of_the_template_are_there(self):
        for kind in "EC2_IMAGE", "EBS_SNAPSHOT":
            (rule,) = self.all_of("list-rules", "--resource-type", kind, service="rbin")
            self.assertEqual(rule["RetentionPeriod"]["RetentionPeriodValue"], 14)
            shown = self.aws("rbin", "get-rule", "--identifier", rule["Identifier"])
            self.assertEqual(shown["ResourceTags"], [{"ResourceTagKey": "ami-janitor:intent", "ResourceTagValue": "remove"}])


class Exporting(CLI):
    """The files of an export are what the CLI prints, in the order of the ids, and with one form for a time."""

    FILES = {
        "get-caller-identity": "sts get-caller-identity",
        "describe-images": "ec2 describe-images --owners self --include-deprecated --include-disabled",
        "describe-snapshots": "ec2 describe-snapshots --owner-ids self",
        "describe-locked-snapshots": "ec2 describe-locked-snapshots",
        "describe-instances": "ec2 describe-instances --include-managed-resources",
        "describe-launch-templates": "ec2 describe-launch-templates --include-managed-resources",
        "describe-auto-scaling-groups": "autoscaling describe-auto-scaling-groups",
        "describe-launch-configurations": "autoscaling describe-launch-configurations",
        "describe-fleets": "ec2 describe-fleets",
        "describe-spot-fleet-requests": "ec2 describe-spot-fleet-requests",
        "describe-spot-instance-requests": "ec2 describe-spot-instance-requests",
        "describe-fast-launch-images": "ec2 describe-fast-launch-images",
        "describe-fast-snapshot-restores": "ec2 describe-fast-snapshot-restores",
        "describe-export-image-tasks": "ec2 describe-export-image-tasks",
        "describe-store-image-tasks": "ec2 describe-store-image-tasks",
        "describe-replace-root-volume-tasks": "ec2 describe-replace-root-volume-tasks",
        "describe-image-usage-reports": "ec2 describe-image-usage-reports",
        "describe-image-usage-report-entries": "ec2 describe-image-usage-report-entries",
        "describe-parameters": "ssm describe-parameters",
        "cloudformation-describe-stacks": "cloudformation describe-stacks",
        "batch-describe-compute-environments": "batch describe-compute-environments",
        "pcs-list-clusters": "pcs list-clusters",
        "rds-describe-db-engine-versions": "rds describe-db-engine-versions --include-all --filters Name=engine,Values=custom-oracle-ee",
        "imagebuilder-list-image-recipes": "imagebuilder list-image-recipes",
        "imagebuilder-list-container-recipes": "imagebuilder list-container-recipes",
        "elasticbeanstalk-describe-applications": "elasticbeanstalk describe-applications",
        "elasticbeanstalk-describe-environments": "elasticbeanstalk describe-environments --no-include-deleted",
        "elasticbeanstalk-list-platform-versions": "elasticbeanstalk list-platform-versions",
        "emr-list-clusters": "emr list-clusters --active",
        "sagemaker-list-clusters": "sagemaker list-clusters",
        "list-images-in-recycle-bin": "ec2 list-images-in-recycle-bin",
        "list-snapshots-in-recycle-bin": "ec2 list-snapshots-in-recycle-bin",
    }

    def setUp(self):
        super().setUp()
        self.copy = self.home / "copy"
        run = subprocess.run([JANITOR, "export", "--cloudformation-templates", self.copy], env=self.environment, capture_output=True, text=True, timeout=600, check=False)
        self.assertEqual(run.returncode, 3, run.stderr)  # Nobody may read the launch permissions of one image of the sample.

    def exported(self, name):
        return json.loads((self.copy / f"{name}.json").read_text(encoding="utf-8"))

    def assertSame(self, exported, printed):
        self.maxDiff = None
        self.assertEqual(normal(exported), normal(printed))

    def test_the_listings(self):
        for name, command in self.FILES.items():
            with self.subTest(name):
                self.assertSame(self.exported(name), self.aws(*command.split()))

    def test_what_takes_a_call_for_each(self):
        templates = self.exported("describe-launch-templates")["LaunchTemplates"]
        versions = [v for t in templates for v in self.all_of(
            "describe-launch-template-versions", "--include-managed-resources", "--launch-template-id", t["LaunchTemplateId"])]
        self.assertSame(self.exported("describe-launch-template-versions"), {"LaunchTemplateVersions": versions})

        for cluster in self.exported("emr-describe-cluster"):
            self.assertSame({**cluster["Cluster"], "BootstrapActions": []}, self.aws("emr", "describe-cluster", "--cluster-id", cluster["Cluster"]["Id"])["Cluster"])
        used.update({"ListBootstrapActions", "ListInstanceFleets", "ListInstanceGroups"})  # The CLI's describe-cluster has called them.
        used.add("DescribeDBEngineVersions")  # Its command does not spell it so.
        for cluster in self.exported("sagemaker-describe-cluster"):
            self.assertSame(cluster, self.aws("sagemaker", "describe-cluster", "--cluster-name", cluster["ClusterName"]))
        for answer in self.exported("elasticbeanstalk-describe-platform-version"):
            self.assertSame(answer, self.aws("elasticbeanstalk", "describe-platform-version", "--platform-arn", answer["PlatformDescription"]["PlatformArn"]))
        for answer in self.exported("elasticbeanstalk-describe-configuration-settings"):
            (one,) = answer["ConfigurationSettings"]
            name = ("--environment-name", one["EnvironmentName"]) if "EnvironmentName" in one else ("--template-name", one["TemplateName"])
            self.assertSame(answer, self.aws("elasticbeanstalk", "describe-configuration-settings", "--application-name", one["ApplicationName"], *name))
        for answer in self.exported("cloudformation-get-template"):
            name = answer.pop("StackName")
            self.assertSame(answer, self.aws("cloudformation", "get-template", "--stack-name", name))
        for answer in self.exported("pcs-get-compute-node-group"):
            asked = ("--cluster-identifier", answer["computeNodeGroup"]["clusterId"])
            (listed,) = self.aws("pcs", "list-compute-node-groups", *asked)["computeNodeGroups"]
            self.assertSame(answer, self.aws("pcs", "get-compute-node-group", *asked, "--compute-node-group-identifier", listed["id"]))

        groups = [g["AutoScalingGroupName"] for g in self.exported("describe-auto-scaling-groups")["AutoScalingGroups"] if g["DesiredCapacity"]]
        refreshes = [r for group in groups for r in self.all_of("describe-instance-refreshes", "--auto-scaling-group-name", group, service="autoscaling")]
        self.assertTrue(refreshes)
        self.assertSame(self.exported("describe-instance-refreshes"), {"InstanceRefreshes": refreshes})

        permissions = self.exported("describe-launch-permissions")
        self.assertEqual(set(permissions), {image["ImageId"] for image in self.images()})
        hidden = [image for image, allowed in permissions.items() if allowed is None]
        shared = [image for image, allowed in permissions.items() if allowed]
        for image in hidden + shared + list(permissions)[:3]:
            self.assertEqual(permissions[image], self.launch_permissions(image))
        self.assertTrue(hidden and shared)

        volumes = self.exported("describe-create-volume-permissions")
        for snapshot in [snapshot for snapshot, allowed in volumes.items() if allowed] + list(volumes)[:3]:
            answer = self.aws("ec2", "describe-snapshot-attribute", "--attribute", "createVolumePermission", "--snapshot-id", snapshot)
            self.assertEqual(volumes[snapshot], answer["CreateVolumePermissions"])

        rules = [r["Identifier"] for kind in ("EC2_IMAGE", "EBS_SNAPSHOT") for r in self.all_of("list-rules", "--resource-type", kind, service="rbin")]
        self.assertSame(self.exported("list-rules"), {"Rules": [self.aws("rbin", "get-rule", "--identifier", rule) for rule in rules]})

        images = sorted(permissions)
        references = [r for i in range(0, len(images), 10) for r in self.all_of(
            "describe-image-references", "--include-all-resource-types", "--resource-types",
            "ResourceType=ec2:LaunchTemplate,ResourceTypeOptions=[{OptionName=version-depth,OptionValues=[10000]}]",
            "--image-ids", *images[i : i + 10])]
        self.assertTrue(references)
        self.assertSame(self.exported("describe-image-references"), {"ImageReferences": references})

        values = self.exported("get-parameters")["Parameters"]
        self.assertTrue([v for v in values if "Selector" in v])
        for value in values:
            (printed,) = self.aws("ssm", "get-parameters", "--names", value["Name"] + value.get("Selector", ""))["Parameters"]
            self.assertSame(value, printed)


def normal(value, key=""):
    """A value with its lists in order, and its times in one form. The CLI prints null for the requestId of a listing."""
    if isinstance(value, dict):
        return {name: normal(inner, name) for name, inner in value.items() if name != "requestId"}
    if isinstance(value, list):
        return sorted((normal(item, key) for item in value), key=lambda item: json.dumps(item, sort_keys=True))
    if key in ("CreationDateTime", "CreationTime", "LastModifiedDate", "ReadyDateTime") and not isinstance(value, str):
        return datetime.datetime.fromtimestamp(value, datetime.timezone.utc).isoformat()
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:\d\d)", value):
        return datetime.datetime.fromisoformat(value.replace("Z", "+00:00")).astimezone(datetime.timezone.utc).isoformat()
    return value


class Organization(CLI):
    COPY = ("--organization", "sample")
    BUILDER, UNROLED, SUSPENDED = "123456789012", "666666666666", "777777777777"

    def assume(self, account):
        """Takes on the janitor's role in an account, and returns who that is."""
        answer = self.aws("sts", "assume-role", "--role-session-name", "ami-janitor-20261123T020000Z-3f9c1a", "--external-id", "example",
                          "--role-arn", f"arn:aws:iam::{account}:role/ami-janitor/ami-janitor-default-read")
        given = answer["Credentials"]
        self.assertEqual(given["Expiration"], "2026-11-23T03:00:00Z")
        self.environment |= {
            "AWS_ACCESS_KEY_ID": given["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": given["SecretAccessKey"], "AWS_SESSION_TOKEN": given["SessionToken"],
        }
        return answer["AssumedRoleUser"]["Arn"]

    def test_the_walk_over_the_units_finds_the_accounts_that_are_listed(self):
        listed = self.all_of("list-accounts", service="organizations")
        self.assertEqual(len(listed), 12)
        self.assertEqual({account["State"] for account in listed}, {"ACTIVE", "SUSPENDED"})
        self.assertFalse(any("Status" in account for account in listed))
        (root,) = self.all_of("list-roots", service="organizations")
        walked, parents = [], [root["Id"]]
        while parents:
            parent = parents.pop()
            walked += self.all_of("list-accounts-for-parent", "--parent-id", parent, service="organizations")
            parents += [unit["Id"] for unit in self.all_of("list-organizational-units-for-parent", "--parent-id", parent, service="organizations")]
        self.assertCountEqual(walked, listed)
        self.assertEqual(self.all_of("list-accounts", "--page-size", "5", service="organizations"), listed)
        self.assertEqual(self.aws("organizations", "describe-organization")["Organization"]["MasterAccountId"], "999999999999")
        self.assertRefused("ParentNotFoundException", "organizations", "list-accounts-for-parent", "--parent-id", "ou-ab12-99999999")

    def test_a_role_leads_to_its_account(self):
        self.assertRefused("UnauthorizedOperation", "ec2", "describe-images")
        for account in (self.UNROLED, self.SUSPENDED):
            self.assertRefused("AccessDenied", "sts", "assume-role", "--role-session-name", "ami-janitor-1",
                               "--role-arn", f"arn:aws:iam::{account}:role/ami-janitor/ami-janitor-default-read")
        self.assertEqual(self.assume(self.BUILDER), self.aws("sts", "get-caller-identity")["Arn"])
        self.assertEqual({image["OwnerId"] for image in self.images()}, {self.BUILDER})
        self.assertRefused("AccessDeniedException", "organizations", "list-accounts")

    def test_an_account_that_leaves_is_listed_no_more(self):
        hub = dict(self.environment)
        self.assume(self.BUILDER)
        self.aws("organizations", "leave-organization")
        self.assertRefused("AWSOrganizationsNotInUseException", "organizations", "list-accounts")
        self.environment = hub
        listed = {account["Id"] for account in self.all_of("list-accounts", service="organizations")}
        self.assertEqual((len(listed), self.BUILDER in listed), (11, False))

    def test_a_session_without_its_token_is_refused(self):
        self.assume(self.BUILDER)
        del self.environment["AWS_SESSION_TOKEN"]
        self.assertRefused("AuthFailure", "ec2", "describe-images")

    def test_a_parameter_stops_a_run(self):
        self.aws("ssm", "put-parameter", "--name", "/ami-janitor/run", "--type", "String", "--value", "stop")
        self.assertEqual(self.aws("ssm", "get-parameter", "--name", "/ami-janitor/run")["Parameter"]["Value"], "stop")
        self.assertRefused("ParameterNotFound", "ssm", "get-parameter", "--name", "/ami-janitor/other")


class Deployed(CLI):
    """An account in which a stack is deployed, as doctor looks at it."""

    ROLE = "arn:aws:iam::123456789012:role/janitor"
    MAIL = {"SubscriptionArn": "PendingConfirmation", "Owner": "123456789012", "Protocol": "email", "Endpoint": "a@example.com", "TopicArn": TOPIC}
    FILES = {
        "get-caller-identity.json": {"Account": "123456789012", "Arn": "arn:aws:iam::123456789012:user/Alice", "UserId": "AIDACKCEVSQ6C2EXAMPLE"},
        "cloudformation-describe-stack-resources.json": {"StackResources": [{
            "StackName": "ami-janitor", "LogicalResourceId": "DigestTopic", "PhysicalResourceId": TOPIC, "ResourceType": "AWS::SNS::Topic",
            "Timestamp": NOW, "ResourceStatus": "CREATE_COMPLETE"}]},
        "scheduler-get-schedule.json": [{"Name": "nightly", "GroupName": "default", "State": "ENABLED", "ScheduleExpression": "rate(1 day)"}],
        "sns-list-subscriptions-by-topic.json": {"Subscriptions": [MAIL]},
        "cloudwatch-describe-alarms.json": {"MetricAlarms": [{"AlarmName": "RunsMissing", "AlarmActions": [TOPIC], "ActionsEnabled": True, "StateValue": "OK"}]},
        "s3-buckets.json": {"Buckets": [{"Name": "records", "Versioning": {"Status": "Enabled"}}]},
        "s3api-get-bucket-encryption.json": [{"Bucket": "records", "ServerSideEncryptionConfiguration": {
            "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}}],
        "s3api-get-public-access-block.json": [{"Bucket": "records", "PublicAccessBlockConfiguration": {"BlockPublicAcls": True, "RestrictPublicBuckets": False}}],
        "iam-get-account-authorization-details.json": {"RoleDetailList": [{
            "RoleName": "janitor", "Arn": ROLE, "Path": "/", "RoleId": "AROADBQP57FF2AEXAMPLE", "CreateDate": NOW,
            "RolePolicyList": [{"PolicyName": "remove", "PolicyDocument": {"Statement": [{
                "Effect": "Allow", "Action": "ec2:DeregisterImage", "Resource": "arn:aws:ec2:*::image/*",
                "Condition": {"StringEquals": {"aws:ResourceTag/ami-janitor:intent": "remove"}}}]}}]}]},
    }

    def setUp(self):
        copy = tempfile.TemporaryDirectory()
        self.addCleanup(copy.cleanup)
        for name, content in self.FILES.items():
            pathlib.Path(copy.name, name).write_text(json.dumps(content), encoding="utf-8")
        self.COPY = ("--account", copy.name)
        super().setUp()

    def decision(self, *context):
        (result,) = self.all_of("simulate-principal-policy", "--policy-source-arn", self.ROLE, "--action-names", "ec2:DeregisterImage",
                                "--resource-arns", "arn:aws:ec2:us-east-1::image/ami-0123456789abcdef0", *context, service="iam")
        return result["EvalDecision"]

    def test_a_removal_is_simulated_with_its_tags_and_without(self):
        tag = "ContextKeyName=aws:ResourceTag/ami-janitor:intent,ContextKeyType=string,ContextKeyValues=remove"
        self.assertEqual(self.decision("--context-entries", tag), "allowed")
        self.assertEqual(self.decision(), "implicitDeny")
        self.assertEqual(self.aws("iam", "get-role", "--role-name", "janitor")["Role"]["Arn"], self.ROLE)
        self.assertRefused("NoSuchEntity", "iam", "get-role", "--role-name", "x")
        self.assertRefused("NoSuchEntity", "iam", "simulate-principal-policy", "--policy-source-arn", self.ROLE + "x", "--action-names", "ec2:DeregisterImage")

    def test_what_a_stack_has_deployed(self):
        (topic,) = self.all_of("describe-stack-resources", "--stack-name", "ami-janitor", service="cloudformation")
        self.assertEqual(self.all_of("list-subscriptions-by-topic", "--topic-arn", topic["PhysicalResourceId"], service="sns"), [self.MAIL])
        self.assertRefused("NotFound", "sns", "list-subscriptions-by-topic", "--topic-arn", TOPIC + "x")
        (alarm,) = self.aws("cloudwatch", "describe-alarms", "--alarm-names", "RunsMissing", "other")["MetricAlarms"]
        self.assertEqual(alarm["AlarmActions"], [TOPIC])
        self.assertEqual(self.aws("scheduler", "get-schedule", "--name", "nightly")["State"], "ENABLED")
        self.assertRefused("ResourceNotFoundException", "scheduler", "get-schedule", "--name", "x")

    def test_the_settings_of_a_bucket(self):
        self.assertEqual(self.aws("s3api", "get-bucket-versioning", "--bucket", "records"), {"Status": "Enabled"})
        for command in ("get-bucket-encryption", "get-public-access-block"):
            shown = self.aws("s3api", command, "--bucket", "records")
            self.assertEqual({"Bucket": "records", **shown}, self.FILES[f"s3api-{command}.json"][0])
        self.assertRefused("NoSuchPublicAccessBlockConfiguration", "s3api", "get-public-access-block", "--bucket", "other")
        self.assertRefused("ServerSideEncryptionConfigurationNotFoundError", "s3api", "get-bucket-encryption", "--bucket", "other")


class Refusing(CLI):
    def test_a_protected_image_stays(self):
        for image in self.images():
            if image.get("DeregistrationProtection", "disabled") != "disabled":
                with self.subTest(image["DeregistrationProtection"]):
                    self.assertRefused("OperationNotPermitted", "ec2", "deregister-image", "--image-id", image["ImageId"])

    def test_what_is_not_there_is_refused_in_each_services_words(self):
        self.assertRefused("InvalidFleetId.NotFound", "ec2", "describe-fleets", "--fleet-ids", "fleet-00000000-0000-0000-0000-000000000000")
        self.assertRefused("ValidationError", "cloudformation", "describe-stack-resource", "--stack-name", "x", "--logical-resource-id", "x")
        self.assertRefused("ResourceNotFoundException", "lambda", "get-function-configuration", "--function-name", "x")
        self.assertRefused("ValidationError", "autoscaling", "describe-launch-configurations", "--max-records", "101", "--no-paginate")
        self.assertRefused("InvalidFilterOption", "ssm", "describe-parameters", "--parameter-filters", "Key=Type,Option=Contains,Values=x")
        self.assertRefused("ValidationException", "ssm", "get-parameters", "--names", *map(str, range(11)))

    def test_an_image_and_a_snapshot_of_aws_backup_stay(self):
        image = next(i for i in self.images() if any(t["Key"].startswith("aws:backup:") for t in i.get("Tags", [])))
        self.assertRefused("AuthFailure", "ec2", "deregister-image", "--image-id", image["ImageId"])
        self.assertRefused("InvalidSnapshot.InUse", "ec2", "delete-snapshot", "--snapshot-id", self.snapshots_of(image)[0])

    def test_an_unknown_id_is_named(self):
        self.assertRefused("InvalidAMIID.NotFound", "ec2", "describe-images", "--image-ids", "ami-00000000000000000")
        self.assertRefused("InvalidAMIID.NotFound", "ec2", "deregister-image", "--image-id", "ami-00000000000000000")
        self.assertRefused("InvalidAMIID.Malformed", "ec2", "deregister-image", "--image-id", "web-server")
        self.assertRefused("InvalidSnapshot.NotFound", "ec2", "delete-snapshot", "--snapshot-id", "snap-00000000000000000")
        self.assertRefused("InvalidAMIID.NotFound", "ec2", "create-tags", "--resources", "ami-00000000000000000", "--tags", "Key=a,Value=1")

    def test_ids_and_pages_exclude_each_other(self):
        image = self.images()[0]["ImageId"]
        self.assertRefused("InvalidParameterCombination", "ec2", "describe-images", "--image-ids", image, "--max-results", "5")

    def test_an_oversized_subject_is_refused(self):
        self.assertRefused("InvalidParameter", "sns", "publish", "--topic-arn", TOPIC, "--subject", "x" * 100, "--message", "x")

    def test_what_is_not_emulated_says_so(self):
        self.assertRefused("InvalidAction", "ec2", "describe-vpcs")


class Coverage(unittest.TestCase):
    """Comes after the others."""

    def test_every_emulated_action_was_called(self):
        source = "".join(path.read_text(encoding="utf-8") for path in EMULATOR.glob("*.go"))
        emulated = set(re.findall(r'^\t"([A-Z]\w+)":\s+[{(]', source, re.MULTILINE))
        self.assertTrue(emulated)
        self.assertEqual(emulated - used, set())


class SideBySide(unittest.TestSuite):
    """Its tests run side by side, the longest first: it takes a second of a core to start the CLI. Each has an account of its own."""

    def run(self, result, debug=False):
        def alone(test):
            own = unittest.TestResult()
            test.run(own)
            return own

        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            for own in pool.map(alone, self):
                result.testsRun += own.testsRun
                result.failures += own.failures
                result.errors += own.errors
        return result


def main():
    load = unittest.defaultTestLoader.loadTestsFromTestCase
    tests = SideBySide(test for case in (Exporting, Reading, RecycleBin, Making, Silent, Writing, Refusing, Deployed, Organization) for test in load(case))
    result = unittest.TextTestRunner(verbosity=1).run(unittest.TestSuite([tests, load(Coverage)]))
    version = subprocess.run([AWS, "--version"], capture_output=True, text=True, check=True).stdout.split()[0]
    print(f"aws-cli: {result.testsRun} tests, {len(used)} actions, {version}:", "ok" if result.wasSuccessful() else "FAILED")
    sys.exit(not result.wasSuccessful())


if __name__ == "__main__":
    main()
