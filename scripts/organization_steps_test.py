"""Runs organization.asl.json with the functions that are deployed, on an emulated organization of twelve accounts: S3, SNS,
Lambda and Step Functions are ministack's, everything else is the emulator's.

One account lets nobody in. First the command line has the state machine plan by day, which changes nothing in any account. At
night the sweep of one account is killed when it has declared its removals, and the next run finishes it. Another one leaves the
organization when its removals are planned: nothing is changed there, and the next run goes on without it.

Usage: organization_steps_test.py organization.asl.json ministack bin/ami-janitor bin/organization/host/bootstrap
"""

import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from datetime import datetime
from pathlib import Path

import boto3
from botocore.config import Config

import organization_test
from organization_test import BUCKET, ROLE, STEPS

# The account without a role, one that is suspended, and the one that leaves, whose sweep is not the first.
DENIED, SUSPENDED, LEAVING = "666666666666", "777777777777", "333333333333"

CHANGES = re.compile(r"(Create|Delete|Deregister|Disable|Enable|Modify|Restore)")


def expect(what, true):
    organization_test.expect(f"the functions: {what}", true)


@contextlib.contextmanager
def emulated(command, log):
    """Serves the built-in organization. Yields its address."""
    process = subprocess.Popen(
        [command, "emulate", "--organization", "sample", "--latency", "100ms", "--log", log, "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE, text=True
    )
    try:
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait()


def requests(log):
    """The requests that the emulated accounts have answered."""
    lines = Path(log).read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def leave(accounts):
    """Takes the account out of the organization, as AWS has it: by a request of its own."""
    arn = f"arn:aws:iam::{LEAVING}:role/ami-janitor/ami-janitor-default-sweep"
    begun = boto3.client("sts", endpoint_url=accounts).assume_role(RoleArn=arn, RoleSessionName="ami-janitor-leaves")["Credentials"]
    boto3.client(
        "organizations",
        endpoint_url=accounts,
        aws_access_key_id=begun["AccessKeyId"],
        aws_secret_access_key=begun["SecretAccessKey"],
        aws_session_token=begun["SessionToken"],
    ).leave_organization()


@contextlib.contextmanager
def held(step, pids, then):
    """Holds the first process of a step until then has been called. Lambda starts it when the step before has ended."""
    gate = Path(pids, f"hold-{step}")
    os.mkfifo(gate)
    called = threading.Event()

    def hold():
        with open(gate, "w", encoding="utf-8"):  # Waits for the process.
            gate.unlink()
            then()
            called.set()

    threading.Thread(target=hold, daemon=True).start()
    yield
    expect(f"{step} was held", called.is_set())


def packed(binary, pids):
    """A zip file whose bootstrap notes its process, waits if it is held, and becomes the binary."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        entry = zipfile.ZipInfo("bootstrap")
        entry.external_attr = 0o100755 << 16
        archive.writestr(entry, f'#!/bin/sh\necho $$ > "{pids}/$STEP"\n[ ! -p "{pids}/hold-$STEP" ] || cat "{pids}/hold-$STEP"\nexec "{os.path.abspath(binary)}"\n')
    return file.getvalue()


class Hub:
    """The hub's account, with the state machine."""

    def __init__(self, definition, endpoint, accounts, code, directory):
        self.endpoint, self.code, self.directory, self.runs = endpoint, code, directory, 0
        self.client("s3").create_bucket(Bucket=BUCKET)
        topic = self.client("sns").create_topic(Name="digest")["TopicArn"]
        self.queue = self.client("sqs").create_queue(QueueName="digests")["QueueUrl"]
        queue = self.client("sqs").get_queue_attributes(QueueUrl=self.queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        self.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue, Attributes={"RawMessageDelivery": "true"})
        variables = {
            "AWS_ENDPOINT_URL": accounts,
            "AWS_ENDPOINT_URL_S3": endpoint,
            "AWS_ENDPOINT_URL_SNS": endpoint,
            "AWS_ACCESS_KEY_ID": organization_test.ACCOUNT,
            "AWS_SECRET_ACCESS_KEY": "any",
            "RECORDS": f"s3://{BUCKET}",
            "DRY_RUN": "false",
            "REGIONS": "us-east-1,eu-west-1",
            "REQUIRE_RECYCLE_BIN": "false",
            "SHARED_IMAGES": "organization",
            "EC2_SHARE": "1",
            "STACK_NAME": "ami-janitor-organization",
            "TOPIC_ARN": topic,
        }
        for step in STEPS:
            self.client("lambda").create_function(
                FunctionName=step,
                Runtime="provided.al2023",
                Handler="bootstrap",
                Role=ROLE,
                Timeout=300,
                Code={"ZipFile": code},
                Environment={"Variables": {**variables, "STEP": step}},
            )
        self.machine = self.client("stepfunctions").create_state_machine(name="night", definition=definition, roleArn=ROLE)["stateMachineArn"]

    def client(self, service):
        return boto3.client(service, endpoint_url=self.endpoint, config=Config(retries={"max_attempts": 0}))

    def run(self):
        """Runs the state machine. Returns what it answers, and when each state ended."""
        states, self.runs = self.client("stepfunctions"), self.runs + 1
        arn = states.start_execution(stateMachineArn=self.machine, name=f"night-{self.runs}", input="{}")["executionArn"]
        deadline = time.monotonic() + 300
        while (ended := states.describe_execution(executionArn=arn))["status"] == "RUNNING" and time.monotonic() < deadline:
            time.sleep(0.2)
        history = states.get_execution_history(executionArn=arn, maxResults=1000)["events"]
        expect(f"the run ends well, not with {ended} {history[-4:]}", ended["status"] == "SUCCEEDED")
        exits = {e["stateExitedEventDetails"]["name"]: e["timestamp"] for e in history if e["type"].endswith("StateExited")}
        return json.loads(ended["output"]), exits

    def digest(self):
        """The organization's digest that was sent last. Those of the accounts have another attribute."""
        texts = []
        while messages := self.client("sqs").receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10, MessageAttributeNames=["All"]).get("Messages"):
            for message in messages:
                if message["MessageAttributes"]["account"]["StringValue"] == "organization":
                    texts.append(message["Body"])
                self.client("sqs").delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
        expect("the digest was sent", texts)
        return texts[-1]

    def renew(self, step):
        """Has Lambda start a process of the step's function for its next call: none has the code that it is given."""
        self.client("lambda").update_function_code(FunctionName=step, ZipFile=self.code)

    def keys(self, pattern):
        """The keys in the bucket that match, and what they match."""
        pages = self.client("s3").get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
        return {key: match for key in keys if (match := re.fullmatch(pattern, key))}

    def read(self, key):
        return json.load(self.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"])

    def let_locks_expire(self):
        """Dates all locks back by a day, as if it were the next night."""
        for key in self.keys(r"accounts/\d+/locks/.*"):
            lock = self.read(key)
            lock["at"] = re.sub(r"^\d{4}", lambda year: str(int(year[0]) - 1), lock["at"])
            self.client("s3").put_object(Bucket=BUCKET, Key=key, Body=json.dumps(lock))


def plan_by_day(hub, log, janitor):
    done = subprocess.run(
        [janitor, "plan", "--organization", "--state-machine", hub.machine, "--records", f"s3://{BUCKET}", "--output", "text"],
        env={**os.environ, "AWS_ENDPOINT_URL": hub.endpoint},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    said = f"status {done.returncode}, {done.stderr}{done.stdout}"
    expect(f"plan --organization prints a digest of what would go: {said}", "Would be removed" in done.stdout and "BY ACCOUNT" in done.stdout)
    expect(f"its status tells of the account that lets nobody in: {said}", done.returncode == 1 and DENIED in done.stdout)
    memory = hub.read("org/seen.json")
    key = f"org/runs/{memory['lastRun']}/record.json"
    expect(f"it is the digest of the hub's record: {said}", f"s3://{BUCKET}/{key}" in done.stdout)
    record = hub.read(key)
    expect("the run is dry, and has swept nothing", record["dryRun"] and record["totals"]["wouldDeregister"] > 0 and memory["realRuns"] == 0)
    changes = [r for r in requests(log) if CHANGES.match(r["action"])]
    expect(f"plan --organization changes nothing: {changes}", requests(log) and not changes)
    expect("plan --organization leaves nothing in the journals", not hub.keys("accounts/.*"))


def kill_first_sweep(log, pids, killed):
    """Kills the function of the sweep as soon as it has declared what it removes."""
    with open(log, encoding="utf-8") as lines:
        while not killed.is_set():
            if '"CreateTags"' in lines.read():
                os.kill(int(Path(pids, "sweep").read_text(encoding="utf-8")), signal.SIGKILL)
                killed.set()
            time.sleep(0.001)


def at(request):
    """When a request was answered."""
    return datetime.fromisoformat(request["t"][:26] + "+00:00")


def first_night(hub, log, pids, accounts):
    killed = threading.Event()
    killer = threading.Thread(target=kill_first_sweep, args=(log, pids, killed))
    killer.start()
    try:
        hub.renew("allot")
        with held("allot", pids, lambda: leave(accounts)):
            answer, exits = hub.run()
        expect("a sweep was killed", killed.is_set())
    finally:
        killed.set()
        killer.join()
    changes = [r for r in requests(log) if CHANGES.match(r["action"])]
    early = [r for r in changes if at(r) < exits["Allot"]]
    expect(f"nothing is changed before Allot has ended: {early}", changes and not early)
    totals, run = answer["totals"], answer["run"]
    expect(f"all accounts but {DENIED} and {SUSPENDED} are counted: {totals}", (totals["accounts"], totals["accountsCounted"]) == (12, 10))
    expect(f"nobody came into {DENIED}", not any(r["account"] == DENIED for r in requests(log)))
    sweeps = {item["account"] for item in hub.read(f"org/runs/{run}/sweep-targets.json")}
    done = {match[1] for match in hub.keys(rf"accounts/(\d+)/runs/{run}/record.json").values()}
    unfinished = {match[1] for match in hub.keys(rf"accounts/(\d+)/unfinished/.*/{run}").values()}
    others = sweeps - {LEAVING}
    expect(f"every other sweep but one came to its end: {sweeps} {done} {unfinished}", len(others) > 3 and len(unfinished) == 1 and done == others - unfinished)
    expect("the killed sweep is not that of the account that left", unfinished < others)
    digest = re.sub(r"\s+", " ", hub.digest())
    (account,) = unfinished
    expect(f"the digest knows what the kill leaves open: {digest}", re.search(rf"may have changed something there\. .* - {account}, [^-]*its sweep did not come to its end", digest))
    has_left(hub, log, run, exits, digest)
    return unfinished


def has_left(hub, log, run, exits, digest):
    """The account was planned and has left since; nobody comes in any more, and everybody is told."""
    theirs = [r for r in requests(log) if r["account"] == LEAVING]
    last = theirs[-1]
    expect(f"it leaves between Plan and Sweep: {last} {exits}", last["action"] == "LeaveOrganization" and exits["Plan"] < at(last) < exits["Allot"])
    expect("nothing is changed there", not any(CHANGES.match(r["action"]) for r in theirs))
    regions = hub.read(f"org/runs/{run}/allotments/{LEAVING}.json")["approved"]["regions"]
    expect(f"removals are allotted to it: {regions}", any(region["images"] for region in regions.values()))
    (told,) = (account for account in hub.read(f"org/runs/{run}/record.json")["accounts"] if account["account"] == LEAVING)
    expect(f"the record says why: {told}", "AccessDenied" in told["error"] and "record" not in told)
    _, needs_you = digest.split("NEEDS YOU", 1)
    expect(f"the digest says so: {digest}", re.search(rf"- {LEAVING}, .*-sweep: AccessDenied", needs_you))


def removed_in(log, account):
    return [r for r in requests(log) if r["account"] == account and r["action"] == "DeregisterImage" and r["status"] == 200]


def next_night(hub, log, killed):
    (account,) = killed  # With or without its first removal: both are finished.
    hub.let_locks_expire()
    before = len(requests(log))
    answer, _ = hub.run()
    totals = answer["totals"]
    expect(f"the next night goes on without the account that left: {totals}", (totals["accounts"], totals["accountsCounted"]) == (11, 9))
    expect("and removes what is left", totals["deregistered"] > 0 and not answer.get("notSwept"))
    expect("nobody asks for it any more", not any(r["account"] == LEAVING for r in requests(log)[before:]))
    expect("nor does the digest", LEAVING not in hub.digest())
    unfinished = hub.keys(r"accounts/\d+/unfinished/.*")
    expect(f"the next night finishes what the kill left: {unfinished}", not unfinished)
    done = {match[1] for match in hub.keys(rf"accounts/(\d+)/runs/{answer['run']}/record.json").values()}
    expect("the account whose sweep was killed has its turn", killed <= done and removed_in(log, account))


def main(path, ministack, janitor, bootstrap):
    definition = organization_test.substituted(path, concurrency="1")  # So that there is one process of the sweep.
    with tempfile.TemporaryDirectory() as directory:
        log, pids = str(Path(directory, "requests")), Path(directory, "pids")
        pids.mkdir()
        with emulated(janitor, log) as accounts, organization_test.ministack(ministack) as (endpoint, _):
            hub = Hub(definition, endpoint, accounts, packed(bootstrap, pids), directory)
            plan_by_day(hub, log, janitor)
            killed = first_night(hub, log, pids, accounts)
            next_night(hub, log, killed)
    print(
        "organization_steps_test: twelve accounts, one closed, one that leaves; a plan by day changes nothing, "
        "and the next night finishes what a kill left"
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
