"""Runs `AMI-JANITOR doctor` against a moto server on this machine, which nobody of this project has written.

The stack is template.yaml, deployed as scripts/template_deploy.py deploys it. moto lacks some of the services and actions that doctor
asks, and answers those with a status of 500: doctor has to name each of them, and to call none of them good. What its
CloudFormation cannot create is not in the stack, and has to be missed.

Usage: doctor_test.py template.yaml AMI-JANITOR
"""

import contextlib
import io
import json
import logging
import os
import subprocess
import sys

import template_deploy
import template_transform
from moto.server import ThreadedMotoServer

STACK, REGION = template_deploy.STACK, "us-east-1"

# What moto does not have: doctor says which request failed.
UNANSWERED = {
    "Recycle Bin": "rbin:ListRules",
    "fast-launch": "ec2:DescribeFastLaunchImages",
    "fast-snapshot-restore": "ec2:DescribeFastSnapshotRestores",
    "image-tasks": "ec2:DescribeExportImageTasks",
    "pcs": "pcs:ListClusters",
    "rds-custom": "rds:DescribeDBEngineVersions",
}
ANSWERED = {
    "auto-scaling-groups", "batch", "cloudformation", "emr", "hyperpod", "instance-refreshes", "instances", "launch-configurations",
    "launch-templates", "spot-fleets", "spot-requests", "ssm-text",
}
# What doctor finds in any account of moto's, by check.
EVERYWHERE = {
    **dict.fromkeys(UNANSWERED, "wrong"), **dict.fromkeys(ANSWERED, "good"),
    "clock": "good", "credentials": "good", "permissions": "not checked",  # moto has no simulation of policies.
}
NO_IMAGE = {"references": "note", "launch permissions": "note"}


def expect(what, true):
    if not true:
        sys.exit(f"doctor_test: not so: {what}")


def contents(aws):
    """What a run, or a mistake, would change."""
    buckets = [bucket["Name"] for bucket in aws.s3.list_buckets()["Buckets"]]
    return [
        aws.ec2.describe_images(Owners=["self"])["Images"], aws.ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"],
        aws.ec2.describe_tags()["Tags"], aws.sns.list_subscriptions()["Subscriptions"],
        {bucket: aws.s3.list_object_versions(Bucket=bucket).get("Versions", []) for bucket in buckets},
    ]


def examine(janitor, aws, *arguments):
    """What doctor finds, by check."""
    environment = {
        **os.environ, "AWS_ENDPOINT_URL": aws.endpoint, "AWS_REGION": REGION, "AWS_MAX_ATTEMPTS": "1", "AWS_EC2_METADATA_DISABLED": "true",
    }
    before = contents(aws)
    run = subprocess.run([janitor, "doctor", "--output", "json", *arguments], env=environment, capture_output=True, text=True, timeout=300, check=False)
    expect(f"it ends with 3 where something is wrong: {run.returncode} {run.stderr}", run.returncode == 3)
    expect("it changes nothing", contents(aws) == before)
    findings = json.loads(run.stdout)["findings"]
    expect("it finds each thing once", len({finding["check"] for finding in findings}) == len(findings))
    return {finding["check"]: finding for finding in findings}


def expect_levels(findings, wanted):
    levels = {check: finding["level"] for check, finding in findings.items()}
    differences = {check: (levels.get(check), wanted.get(check)) for check in levels.keys() | wanted.keys() if levels.get(check) != wanted.get(check)}
    expect(f"the levels are as wanted; (found, wanted): {differences}", not differences)
    for check, request in UNANSWERED.items():
        expect(f"{check} says what moto does not answer", request in findings[check]["found"])
    expect("permissions are not guessed", "iam:SimulatePrincipalPolicy" in findings["permissions"]["found"])
    for check, finding in findings.items():
        expect(f"{check} has a remedy", finding["level"] in ("good", "note") or finding.get("remedy"))


def add_image(aws):
    """An image of the account, with its snapshot."""
    volume = aws.ec2.create_volume(AvailabilityZone=f"{REGION}a", Size=1)["VolumeId"]
    snapshot = aws.ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    mapping = {"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": snapshot}}
    return aws.ec2.register_image(Name="doctor", RootDeviceName="/dev/xvda", BlockDeviceMappings=[mapping])["ImageId"]


def check(endpoint, template, janitor):
    aws = template_deploy.Account(endpoint, REGION)
    expect_levels(examine(janitor, aws), {**EVERYWHERE, **NO_IMAGE})

    template_deploy.upload_code(aws)
    outputs, _, _ = template_deploy.deploy(aws, template, {})
    # The schedule was created without CloudFormation. The bucket refuses what is not TLS, and moto has no TLS.
    stack = {**EVERYWHERE, "records bucket": "good", "schedule": "wrong", "last run": "note", "ChatTopic": "note"}
    findings = examine(janitor, aws, "--stack", STACK)
    expect_levels(findings, {**stack, **NO_IMAGE, "lock": "not checked", "AlarmTopic": "wrong", "DigestTopic": "note", "digests": "wrong"})
    expect("a lock that cannot be read is not taken for none", "cannot be read" in findings["lock"]["found"])

    aws.s3.delete_bucket_policy(Bucket=outputs["Records"].removeprefix("s3://"))
    for topic in outputs["AlarmTopic"], outputs["DigestTopic"]:
        aws.sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=f"arn:aws:sqs:{REGION}:123456789012:digests")
    add_image(aws)
    findings = examine(janitor, aws, "--stack", STACK)
    asked = {"references": "wrong", "launch permissions": "good"}
    expect_levels(findings, {**stack, **asked, "lock": "good", "AlarmTopic": "good", "DigestTopic": "good"})
    expect("moto does not answer DescribeImageReferences", "ec2:DescribeImageReferences" in findings["references"]["found"])


def main(path, janitor):
    logging.disable(logging.CRITICAL)  # moto logs a traceback for each action that it does not have,
    noise = io.StringIO()  # and complains of each service.
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        with contextlib.redirect_stderr(noise), contextlib.redirect_stdout(noise):
            endpoint = "http://{}:{}".format(*server.get_host_and_port())
            check(endpoint, template_transform.transformed(template_transform.load(path)), janitor)
    finally:
        server.stop()
    print(f"doctor_test: in moto's account doctor finds {len(ANSWERED)} sources good, and names what moto does not answer")


main(*sys.argv[1:])
