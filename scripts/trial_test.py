"""Runs `AMI-JANITOR trial` against a moto server on this machine, which nobody of this project has written, among images and
snapshots of others that look like a trial's.

moto has the EBS direct APIs, and no Recycle Bin: the trial has to say so, to leave nothing, and to touch nothing else. It waits
long for the bin, so it is interrupted there, as a person would.

Usage: trial_test.py AMI-JANITOR
"""

import contextlib
import io
import json
import logging
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

os.environ.update(AWS_ACCESS_KEY_ID="AKIAIOSFODNN7EXAMPLE", AWS_SECRET_ACCESS_KEY="wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", AWS_DEFAULT_REGION="us-east-1")

import boto3
from moto.ec2.responses.amis import AmisResponse
from moto.ec2.responses.elastic_block_store import ElasticBlockStore
from moto.ec2.responses.tags import TagResponse
from moto.server import ThreadedMotoServer

TAG = "ami-janitor:trial"
STEPS_BEFORE_THE_BIN = ["make", "empty lists", "permissions", "announce", "unmark", "remove"]


def expect(what, true):
    if not true:
        sys.exit(f"trial_test: not so: {what}")


def register_as_asked(respond):
    """moto's RegisterImage drops the tags and the mapped snapshot, and maps one of its own making. EC2 does as it is asked."""

    def register_image(self):
        answer = respond(self)
        image = self.ec2_backend.amis[answer.result["ImageId"]]
        (mapping,) = self._get_param("BlockDeviceMappings")
        own, image.ebs_snapshot = image.ebs_snapshot, self.ec2_backend.get_snapshot(mapping["Ebs"]["SnapshotId"])
        own.from_ami = None  # Else it is in use.
        self.ec2_backend.delete_snapshot(own.id)
        image.root_device_type, image.root_device_name = "ebs", self._get_param("RootDeviceName")
        image.architecture, image.virtualization_type = self._get_param("Architecture"), self._get_param("VirtualizationType")
        for specification in self._get_param("TagSpecifications", []):
            image.add_tags({tag["Key"]: tag["Value"] for tag in specification["Tags"]})
        return answer

    return register_image


def say_so(action, respond):
    """moto does not say that it was done; EC2 does (EC2 API Reference, CreateTags, DeleteTags, DeleteSnapshot)."""

    def answer(self):
        respond(self)
        return f'<{action}Response xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>moto</requestId><return>true</return></{action}Response>'

    return answer


def contents(ec2):
    """What is there of images and snapshots. moto keeps the tags of those that are gone."""
    return ec2.describe_images(Owners=["self"], IncludeDisabled=True)["Images"], ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]


def add_others(ec2):
    """Images and snapshots of others, with the tag of a trial and a name like that of one."""
    for name in "ami-janitor-trial-20260101T020000Z-0a1b2c", "golden-web":
        volume = ec2.create_volume(AvailabilityZone="us-east-1a", Size=1)["VolumeId"]
        description = "A trial of AMI Janitor made this: 20260101T020000Z-0a1b2c-snapshot. ami-janitor trial --clean-up removes it."
        snapshot = ec2.create_snapshot(VolumeId=volume, Description=description)["SnapshotId"]
        mapping = {"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": snapshot}}
        image = ec2.register_image(Name=name, RootDeviceName="/dev/xvda", Architecture="x86_64", VirtualizationType="hvm", BlockDeviceMappings=[mapping])
        ec2.create_tags(Resources=[image["ImageId"], snapshot], Tags=[{"Key": TAG, "Value": "20260101T020000Z-0a1b2c"}])


def last_step(directory):
    """The last step in the ledger."""
    lines = [json.loads(line)["line"] for path in directory.glob("trials/*.ledger") for line in path.read_text().splitlines()]
    return ([line["step"] for line in lines if line["what"] == "step"] or [""])[-1]


def check(endpoint, janitor, state):
    ec2 = boto3.client("ec2", endpoint_url=endpoint)
    add_others(ec2)
    before = contents(ec2)
    environment = {
        **os.environ, "AWS_ENDPOINT_URL": endpoint, "AWS_REGION": "us-east-1", "AWS_MAX_ATTEMPTS": "1", "AWS_EC2_METADATA_DISABLED": "true",
        "XDG_STATE_HOME": state, "EC2_SHARE": "1",
    }
    command = [janitor, "trial", "--require-recycle-bin=false", "--output", "json"]
    trial = subprocess.Popen([*command, "--yes"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 120
    while trial.poll() is None and last_step(pathlib.Path(state, "ami-janitor")) != "recycle bin" and time.monotonic() < end:
        time.sleep(0.05)
    trial.send_signal(signal.SIGINT)
    out, said = trial.communicate(timeout=120)
    expect(f"an interrupted trial ends with 130: {trial.returncode} {said} {out}", trial.returncode == 130)
    expect(f"it says what moto does not answer: {said}", "rbin:ListRules: HTTP status 500" in " ".join(said.split()))
    report = json.loads(out)
    done = [step["name"] for step in report["steps"] if step["status"] == "done"]
    expect(f"these steps are done: {done} {report['steps']}", done == STEPS_BEFORE_THE_BIN)
    expect(f"nothing is left but what nobody could ask: {report['left']}", [bool(left.get("id")) for left in report["left"]] == [False])
    expect("it says what it could not ask", "the Recycle Bin was not read: ec2:ListImagesInRecycleBin" in report["left"][0]["why"])
    expect("what it made is gone, and all else is as before", contents(ec2) == before)
    expect("the answers are in the file", json.loads(next(pathlib.Path(state).glob("ami-janitor/trials/*.json")).read_text()) == report)

    again = subprocess.run([*command, "--clean-up"], env=environment, capture_output=True, text=True, timeout=300, check=False)
    expect(f"a clean-up is in doubt, too: {again.returncode} {again.stderr}", again.returncode == 3 and json.loads(again.stdout)["removed"] == [])
    expect("it touches nothing", contents(ec2) == before)
    return report


def main(janitor):
    logging.disable(logging.CRITICAL)  # moto logs a traceback for each action that it does not have.
    AmisResponse.register_image = register_as_asked(AmisResponse.register_image)
    TagResponse.create_tags = say_so("CreateTags", TagResponse.create_tags)
    TagResponse.delete_tags = say_so("DeleteTags", TagResponse.delete_tags)
    ElasticBlockStore.delete_snapshot = say_so("DeleteSnapshot", ElasticBlockStore.delete_snapshot)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    noise = io.StringIO()  # moto complains of each service that it does not have.
    try:
        with contextlib.redirect_stderr(noise), contextlib.redirect_stdout(noise), tempfile.TemporaryDirectory() as state:
            report = check("http://{}:{}".format(*server.get_host_and_port()), janitor, state)
    finally:
        server.stop()
    print(f"trial_test: in moto's account a trial does {len(STEPS_BEFORE_THE_BIN)} steps, measures {len(report['measurements'])} answers, and leaves nothing")


main(*sys.argv[1:])
