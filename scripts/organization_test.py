"""Runs organization.asl.json, as it is deployed, on two engines, and checks where each failure leads.

ministack knows when a map fails, and starts the functions as processes; moto knows Lambda's errors, and what is retried. In
both, organization_stub.py stands in for the functions. No engine checks permissions: internal/template does.

Usage: organization_test.py organization.asl.json asl-validator ministack
"""

import contextlib
import io
import json
import logging
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from pathlib import Path
from unittest import mock

ACCOUNT = "123456789012"
os.environ.update(AWS_ACCESS_KEY_ID=ACCOUNT, AWS_SECRET_ACCESS_KEY="test", AWS_DEFAULT_REGION="us-east-1")  # ministack's account is the key.

import boto3
import moto
from botocore.config import Config
from botocore.exceptions import ClientError
from moto.stepfunctions.parser.asl.component.state.exec.state_task import lambda_eval_utils

import organization_stub

STEPS = ("targets", "census", "gather", "plan", "allot", "sweep", "tell")
BUCKET = "records"
ACCOUNTS = [f"{n:012}" for n in range(111111111111, 111111111123)]
ITEMS = {"census": ACCOUNTS, "plan": ACCOUNTS[:6], "items": ACCOUNTS[2:5]}

ROLE = f"arn:aws:iam::{ACCOUNT}:role/machine"


def expect(what, true):
    if not true:
        raise SystemExit(f"organization_test: not so: {what}")


def substituted(path, concurrency="4"):
    """The definition as CloudFormation substitutes it."""
    values = {f"{step.capitalize()}Function": f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{step}" for step in STEPS}
    values.update(Partition="aws", RecordsBucket=BUCKET, MaxConcurrency=concurrency)
    text = Path(path).read_text(encoding="utf-8")
    expect("nothing else is substituted", set(re.findall(r"\$\{(\w+)\}", text)) == set(values))
    return re.sub(r"\$\{(\w+)\}", lambda name: values[name[1]], text)


class Engine:
    """An engine with the state machine, and the calls of its functions."""

    def __init__(self, name, definition, client):
        self.name, self.client, self.runs = name, client, 0
        s3 = client("s3")
        s3.create_bucket(Bucket=BUCKET)
        for name, accounts in ITEMS.items():
            body = json.dumps([{"account": account} for account in accounts])
            s3.put_object(Bucket=BUCKET, Key=organization_stub.KEYS[name], Body=body)
        self.machine = client("stepfunctions").create_state_machine(name="night", definition=definition, roleArn=ROLE)["stateMachineArn"]

    def run(self, wish, calls):
        """Runs the state machine. Returns how it ended, and the calls of functions, each a step and an event."""
        states, self.runs = self.client("stepfunctions"), self.runs + 1
        started = states.start_execution(stateMachineArn=self.machine, name=f"run-{self.runs}", input=json.dumps(wish))
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            ended = states.describe_execution(executionArn=started["executionArn"])
            if ended["status"] != "RUNNING":
                return Run(self.name, started["executionArn"], ended, calls())
            time.sleep(0.1)
        raise SystemExit(f"organization_test: {self.name}: {wish} does not end")


class Run:
    """An execution that has ended."""

    def __init__(self, engine, arn, ended, calls):
        self.engine, self.arn, self.ended, self.calls = engine, arn, ended, calls

    def expect(self, what, true):
        expect(f"{self.engine}: {what}: {self.ended['status']}, {[(step, e.get('account')) for step, e in self.calls]}", true)

    def events(self, step):
        return [event for called, event in self.calls if called == step]

    def accounts(self, step):
        return sorted(event["account"] for event in self.events(step))

    def steps(self):
        """The steps that were called, in the order in which the first call of each came."""
        return list(dict.fromkeys(step for step, _ in self.calls))


def all_is_well(run):
    ended = run({})
    ended.expect("every step has its turn", ended.steps() == list(STEPS))
    ended.expect("a step begins when the one before has ended", [step for step, _ in ended.calls] == sorted((s for s, _ in ended.calls), key=STEPS.index))
    for step, items in ("census", "census"), ("plan", "plan"), ("sweep", "items"):
        ended.expect(f"{step} is called once for each account", ended.accounts(step) == ITEMS[items])
        ended.expect(f"{step} is told the run and the account", all(set(e) == {"run", "account"} for e in ended.events(step)))
    (first,), (told,) = ended.events("targets"), ended.events("tell")
    ended.expect("Targets knows the execution, and the wish", first["execution"] == ended.arn and first["startedAt"] and first["wish"] == {})
    ended.expect("Tell knows the whole state", set(told) == {"run", "dryRun", "census", "plan", "allotment"})
    ended.expect("the answer is Tell's", ended.ended["status"] == "SUCCEEDED" and json.loads(ended.ended["output"]) == {"told": True})


def a_dry_run(run):
    ended = run({"dryRun": True})
    ended.expect("the wish arrives", ended.events("targets")[0]["wish"] == {"dryRun": True} and ended.events("allot")[0]["dryRun"] is True)
    ended.expect("nothing is swept", ended.steps() == [step for step in STEPS if step != "sweep"] and ended.ended["status"] == "SUCCEEDED")


def children_fail(run, how):
    """A child that fails costs no other account its turn, and a sweep that may have begun is not begun again."""
    failing = [f"census-{ACCOUNTS[0]}", f"census-{ACCOUNTS[1]}", f"plan-{ACCOUNTS[3]}", f"sweep-{ACCOUNTS[2]}"]
    ended = run({"run": ",".join(f"{child}:{how}" for child in failing)})
    ended.expect("every step has its turn", ended.steps() == list(STEPS))
    for step, items in ("census", "census"), ("plan", "plan"), ("sweep", "items"):
        ended.expect(f"{step} is called once for each account, though some {how}", ended.accounts(step) == ITEMS[items])
    ended.expect("the run ends well", ended.ended["status"] == "SUCCEEDED" and "failed" not in ended.events("tell")[0])


def a_step_fails(run):
    """Whatever fails outside of a child is told, nothing comes after it, and the execution fails."""
    for step in ("targets", "gather", "allot"):
        ended = run({"run": f"{step}:fail"})
        ended.expect(f"after {step} only Tell comes", ended.steps() == [*STEPS[: STEPS.index(step) + 1], "tell"])
        (told,) = ended.events("tell")
        ended.expect("Tell is told why", told["failed"]["Error"] == "Failure" and f"{step} fails" in told["failed"]["Cause"])
        known = told["execution"] == ended.arn and told["startedAt"] if step == "targets" else told["run"] == f"{step}:fail"
        ended.expect("Tell knows the run, or the execution if the run has no id", known)
        ended.expect("the execution fails", ended.ended["status"] == "FAILED" and ended.ended["error"] == "Failure")


def a_list_is_missing(run):
    for step in ("census", "plan"):
        ended = run({step: "org/runs/test/missing.json"})
        ended.expect(f"without the accounts of {step} only Tell comes", ended.steps() == [*STEPS[: STEPS.index(step)], "tell"])
        ended.expect("the execution fails", ended.events("tell")[0]["failed"]["Error"] and ended.ended["status"] == "FAILED")


def nobody_is_told(run):
    ended = run({"run": "tell:fail"})
    ended.expect("the execution fails", ended.steps() == list(STEPS) and ended.ended["status"] == "FAILED")


def refused(code, status):
    answer = {"Error": {"Code": code, "Message": code}, "ResponseMetadata": {"HTTPStatusCode": status, "RequestId": "test"}}
    return ClientError(answer, "Invoke")


class Functions:
    """The functions as moto invokes them. Lambda refuses the first calls of some steps."""

    def __init__(self):
        self.calls, self.refusals = [], {}

    def invoke(self, FunctionName, Payload, **_):
        step, event = FunctionName.rsplit(":", 1)[-1], json.loads(Payload)
        self.calls.append((step, event))
        if self.refusals.get(step):
            raise self.refusals[step].pop()
        try:
            result, error = organization_stub.answer(step, event, None), {}
        except organization_stub.Failure as failure:
            result, error = {"errorType": "Failure", "errorMessage": str(failure)}, {"FunctionError": "Unhandled"}
        return {"StatusCode": 200, "ExecutedVersion": "$LATEST", "Payload": io.BytesIO(json.dumps(result).encode()), **error}


def retries(engine, functions):
    """What Lambda refuses is asked for again. A sweep that may have begun is not."""
    throttled, internal = refused("TooManyRequestsException", 429), refused("ServiceException", 500)

    def run(refusals):
        functions.refusals, functions.calls = refusals, []
        return engine.run({}, lambda: functions.calls)

    ended = run({step: [throttled, throttled] for step in STEPS})
    for step, items in ("census", "census"), ("plan", "plan"), ("sweep", "items"):
        ended.expect(f"a throttled {step} is retried", len(ended.events(step)) == len(ITEMS[items]) + 2)
    for step in ("targets", "gather", "allot", "tell"):
        ended.expect(f"a throttled {step} is retried", len(ended.events(step)) == 3)
    ended.expect("the run ends well", ended.ended["status"] == "SUCCEEDED")
    ended = run({"census": [internal], "sweep": [internal]})
    ended.expect("a census that fails in Lambda is retried", len(ended.events("census")) == len(ITEMS["census"]) + 1)
    ended.expect("a sweep that fails in Lambda is not", ended.accounts("sweep") == ITEMS["items"] and ended.ended["status"] == "SUCCEEDED")


def on_moto(definition):
    logging.disable()  # It logs every error that a test makes.
    functions = Functions()
    with (
        moto.mock_aws(config={"stepfunctions": {"execute_state_machine": True}}),
        mock.patch.object(lambda_eval_utils, "boto_client_for", lambda **_: functions),
    ):
        engine = Engine("moto", definition, boto3.client)

        def run(wish):
            functions.refusals, functions.calls = {}, []
            return engine.run(wish, lambda: functions.calls)

        for check in (all_is_well, a_dry_run, a_step_fails, a_list_is_missing, nobody_is_told):
            check(run)
        children_fail(run, "fail")
        retries(engine, functions)
    print("organization_test: moto retries what Lambda has refused, and leads every error to Tell")


@contextlib.contextmanager
def ministack(command):
    """Starts ministack on a free port of loopback."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port), "LOG_LEVEL": "ERROR"}
    with tempfile.TemporaryDirectory() as directory, open(Path(directory, "log"), "w+", encoding="utf-8") as log:
        process = subprocess.Popen([command], env={**environment, "TMPDIR": directory}, stdout=log, stderr=log)
        try:
            endpoint = f"http://127.0.0.1:{port}"
            for _ in range(600):
                with contextlib.suppress(OSError):
                    urllib.request.urlopen(f"{endpoint}/_ministack/health").close()
                    break
                expect(f"ministack runs\n{Path(log.name).read_text(encoding='utf-8')}", process.poll() is None)
                time.sleep(0.1)
            yield endpoint, Path(directory, "calls")
        finally:
            process.terminate()
            process.wait()


def bootstrap():
    """A zip file with the stub as its bootstrap."""
    text, file = Path(organization_stub.__file__).read_text(encoding="utf-8"), io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        entry = zipfile.ZipInfo("bootstrap")
        entry.external_attr = 0o100755 << 16
        archive.writestr(entry, f"#!{sys.executable}\n{text}")
    return file.getvalue()


def on_ministack(definition, command):
    with ministack(command) as (endpoint, calls):

        def client(service):
            return boto3.client(service, endpoint_url=endpoint, config=Config(retries={"max_attempts": 0}))

        for step in STEPS:
            client("lambda").create_function(
                FunctionName=step,
                Runtime="provided.al2023",
                Handler="bootstrap",
                Role=ROLE,
                Timeout=60,
                Code={"ZipFile": bootstrap()},
                Environment={"Variables": {"STEP": step, "CALLS": str(calls)}},
            )
        engine = Engine("ministack", definition, client)

        def run(wish):
            calls.write_text("", encoding="utf-8")
            return engine.run(wish, lambda: [json.loads(line) for line in calls.read_text(encoding="utf-8").splitlines()])

        for check in (all_is_well, a_dry_run, a_step_fails, a_list_is_missing, nobody_is_told):
            check(run)
        for how in ("fail", "die"):
            children_fail(run, how)
    print("organization_test: on ministack a child that fails or dies costs no other account its turn")


def main(path, validator, command):
    definition = substituted(path)
    subprocess.run([validator, "--json-definition", definition], check=True)
    on_moto(definition)
    on_ministack(definition, command)


if __name__ == "__main__":
    main(*sys.argv[1:])
