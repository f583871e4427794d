"""Runs sweeps against the emulator with their records on a real S3-compatible server, Versity's S3 gateway, and looks at
what is there with the real AWS CLI; and runs the journal's own tests against that server. All of it is on loopback.

usage: records_test.py AMI-JANITOR VERSITYGW AWS GO
"""

import datetime
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

JANITOR, GATEWAY, AWS = (os.path.abspath(path) for path in sys.argv[1:4])
GO = shutil.which(sys.argv[4])
REPOSITORY = pathlib.Path(__file__).parent.parent
BUCKET = "amzn-s3-demo-bucket"
REGION = "us-east-1"
KEYS = {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}
EARLIER = "20260101T020000Z-0a1b2c"  # A run before all of those that are started here.
DAY = datetime.timedelta(days=1)


def ago(period):
    return (datetime.datetime.now(datetime.timezone.utc) - period).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def image_id(number):
    return f"ami-{number:017x}"


def snapshot_id(number):
    return f"snap-{number:017x}"


def wait_for(what, is_there, seconds=60):
    end = time.monotonic() + seconds
    while not is_there():
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {seconds} seconds")
        time.sleep(0.05)


class Server:
    """The gateway keeps objects as files, and their ETags in extended attributes: what it does with a condition depends on both at once."""

    def __init__(self, directory):
        self.files = pathlib.Path(directory, "objects")
        self.files.mkdir()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = free.getsockname()
        self.url = f"http://127.0.0.1:{address[1]}"
        self.process = subprocess.Popen(
            [GATEWAY, "--quiet", "--port", f"127.0.0.1:{address[1]}", "posix", str(self.files)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"], "HOME": directory, "ROOT_ACCESS_KEY": KEYS["AWS_ACCESS_KEY_ID"], "ROOT_SECRET_KEY": KEYS["AWS_SECRET_ACCESS_KEY"]},
        )

        def answers():
            if self.process.poll() is not None:
                raise AssertionError("the S3 server has ended")
            with socket.socket() as client:
                return client.connect_ex(address) == 0

        wait_for("the S3 server", answers)

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=10)


class Records(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        directory = tempfile.TemporaryDirectory()
        cls.addClassCleanup(directory.cleanup)
        cls.server = Server(directory.name)
        cls.addClassCleanup(cls.server.stop)

    def setUp(self):
        home = tempfile.TemporaryDirectory()  # No configuration but ours.
        self.addCleanup(home.cleanup)
        self.home = pathlib.Path(home.name)
        self.prefix = self.id().rsplit(".", maxsplit=1)[-1].replace("_", "-")
        self.environment = {
            "PATH": os.environ["PATH"], "HOME": home.name, **KEYS, "AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION, "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL_S3": self.server.url, "RECORDS": f"s3://{BUCKET}/{self.prefix}",
            "REQUIRE_RECYCLE_BIN": "false",  # The account has no rules.
        }
        if "BucketAlreadyOwnedByYou" not in (made := self.aws("s3api", "create-bucket", "--bucket", BUCKET, check=False)).stderr:
            self.assertEqual(made.returncode, 0, made.stderr)

    # The account.

    def serve(self, images, snapshots=(), *arguments, declared=()):
        """An account of images that nobody has used for years, each with some snapshots, and of further snapshots, some of
        which carry the tags of a run that has declared to delete them; by their numbers."""
        account = self.home / "account"
        account.mkdir()
        every = [*snapshots, *(s for mapped in images.values() for s in mapped)]
        made_for = {s: number for number, mapped in images.items() for s in mapped}  # The others were made for image 1, which is gone.
        for name, content in {
            "get-caller-identity": {"Account": "123456789012"},
            "describe-images": {"Images": [{
                "ImageId": image_id(number), "Name": f"image of {number}", "OwnerId": "123456789012", "State": "available", "Public": False,
                "RootDeviceType": "ebs", "CreationDate": f"2020-01-{number % 28 + 1:02d}T00:00:00.000Z", "LastLaunchedTime": "2021-01-01T00:00:00Z",
                "BlockDeviceMappings": [{"DeviceName": f"/dev/sd{chr(97 + i)}", "Ebs": {"SnapshotId": snapshot_id(s)}} for i, s in enumerate(mapped)],
            } for number, mapped in images.items()]},
            "describe-snapshots": {"Snapshots": [{
                "SnapshotId": snapshot_id(s), "OwnerId": "123456789012", "State": "completed", "VolumeSize": 8, "StartTime": "2020-01-01T00:00:00.000Z",
                "StorageTier": "standard", "VolumeId": "vol-ffffffff",
                "Description": f"Created by CreateImage(i-0123456789abcdef0) for {image_id(made_for.get(s, 1))}",
                "Tags": [{"Key": "ami-janitor:intent", "Value": "remove"}, {"Key": "ami-janitor:run", "Value": EARLIER}] if s in declared else [],
            } for s in every]},
        }.items():
            (account / f"{name}.json").write_text(json.dumps(content))
        emulator = subprocess.Popen(
            [JANITOR, "emulate", "--listen", "127.0.0.1:0", "--account", str(account), *arguments], env=self.environment, stdout=subprocess.PIPE, text=True,
        )
        self.addCleanup(emulator.stdout.close)
        self.addCleanup(emulator.wait, timeout=10)
        self.addCleanup(emulator.terminate)
        self.environment["AWS_ENDPOINT_URL"] = emulator.stdout.readline().strip()

    def aws(self, *arguments, check=True):
        run = subprocess.run([AWS, "--output", "json", *arguments], env=self.environment, capture_output=True, text=True, timeout=120, check=False)
        if check:
            self.assertEqual(run.returncode, 0, run.stderr)
        return run

    def images(self):
        listed = json.loads(self.aws("ec2", "describe-images", "--owners", "self").stdout)["Images"]
        return {image["ImageId"]: {tag["Key"]: tag["Value"] for tag in image.get("Tags", [])} for image in listed}

    def snapshots(self):
        return {s["SnapshotId"] for s in json.loads(self.aws("ec2", "describe-snapshots", "--owner-ids", "self").stdout)["Snapshots"]}

    # The records.

    def keys(self, below=""):
        listed = json.loads(self.aws("s3api", "list-objects-v2", "--bucket", BUCKET, "--prefix", f"{self.prefix}/{below}").stdout or "{}")
        return sorted(o["Key"].removeprefix(f"{self.prefix}/") for o in listed.get("Contents", []))

    def get(self, key):
        file = self.home / "object"
        self.aws("s3api", "get-object", "--bucket", BUCKET, "--key", f"{self.prefix}/{key}", str(file))
        return json.loads(file.read_text(encoding="utf-8"))

    def put(self, key, content):
        file = self.home / "object"
        file.write_text(json.dumps(content))
        self.aws("s3api", "put-object", "--bucket", BUCKET, "--key", f"{self.prefix}/{key}", "--body", str(file))

    def lock(self, run, at):
        self.put(f"locks/{REGION}.json", {"run": run, "region": REGION, "at": at, "nonce": "of another run"})

    def leave(self, declared, entries=()):
        """Writes what an earlier run leaves that was ended: what it declared, as {image: snapshots}, and what became of it."""
        self.put(f"runs/{EARLIER}/plan-{REGION}.json", {
            "run": EARLIER, "region": REGION, "account": "123456789012", "at": ago(DAY),
            "declared": [{"imageId": image_id(i), "snapshotIds": [snapshot_id(s) for s in found]} for i, found in declared.items()],
        })
        self.put(f"unfinished/{REGION}/{EARLIER}", {"run": EARLIER, "region": REGION})
        for image, status in dict(entries).items():
            self.put(f"removals/{REGION}/{image_id(image)}/{EARLIER}.json", {
                "run": EARLIER, "region": REGION, "imageId": image_id(image), "status": status,
                "declaredSnapshotIds": [snapshot_id(s) for s in declared[image]],
            })

    # The janitor.

    def command(self, *arguments):
        return [JANITOR, "sweep", "--output", "json", "--keep-newest", "0", *(arguments or ["--yes"])]

    def sweep(self, *arguments, status=0):
        run = subprocess.run(self.command(*arguments), env=self.environment, capture_output=True, text=True, timeout=300, check=False)
        self.assertEqual(run.returncode, status, run.stderr + run.stdout)
        return json.loads(run.stdout)

    def outcomes(self, record):
        return {image["imageId"]: image.get("outcome", {}).get("status", image["verdict"]) for region in record["regions"] for image in region["images"]}

    def test_a_sweep_is_in_the_records(self):
        self.serve({1: [1], 2: [2, 3], 3: []})
        record = self.sweep()
        run = record["run"]
        self.assertEqual(self.outcomes(record), {image_id(n): "deregistered" for n in (1, 2, 3)})
        self.assertEqual(self.keys(), sorted([
            "account.json", f"locks/{REGION}.json", f"runs/{run}/plan-{REGION}.json", f"runs/{run}/record.json", "sums.json",
            *(f"removals/{REGION}/{image_id(n)}/{run}.json" for n in (1, 2, 3)),
        ]), "and no note of being unfinished")
        self.assertEqual(self.get(f"runs/{run}/record.json"), record)
        plan = self.get(f"runs/{run}/plan-{REGION}.json")
        self.assertEqual({d["imageId"]: d["snapshotIds"] or [] for d in plan["declared"]}, {
            image_id(1): [snapshot_id(1)], image_id(2): [snapshot_id(2), snapshot_id(3)], image_id(3): [],
        })
        self.assertEqual(plan["account"], "123456789012")
        entry = self.get(f"removals/{REGION}/{image_id(2)}/{run}.json")
        self.assertEqual((entry["run"], entry["status"]), (run, "deregistered"))
        self.assertEqual({s["snapshotId"]: s["status"] for s in entry["snapshots"]}, {snapshot_id(2): "deleted", snapshot_id(3): "deleted"})
        self.assertEqual((self.images(), self.snapshots()), ({}, set()))

        again = self.sweep()
        self.assertEqual(self.outcomes(again), {})
        self.assertIn(f"runs/{again['run']}/record.json", self.keys("runs/"))

    def test_a_dry_run_leaves_its_record_alone(self):
        self.serve({1: [1]})
        record = self.sweep("--dry-run")
        self.assertEqual(self.keys(), [f"runs/{record['run']}/record.json"])
        self.assertEqual(self.get(f"runs/{record['run']}/record.json"), record)
        self.assertEqual(self.images(), {image_id(1): {}})

    def test_a_run_stands_aside_while_another_is_at_work(self):
        self.serve({1: [1]})
        self.lock(EARLIER, ago(datetime.timedelta(minutes=5)))
        held = self.get(f"locks/{REGION}.json")
        record = self.sweep(status=3)  # No run is at work for more than a day: somebody has to look.
        self.assertIn(EARLIER, json.dumps(record["regions"]), "it says for whom it stands aside")
        self.assertEqual((self.images(), self.snapshots()), ({image_id(1): {}}, {snapshot_id(1)}), "nothing has changed")
        self.assertEqual(self.get(f"locks/{REGION}.json"), held)
        self.assertEqual(self.keys("removals/") + self.keys("unfinished/"), [])
        self.assertEqual(self.get(f"runs/{record['run']}/record.json"), record)

        # A run without a heartbeat for this long is over.
        self.lock(EARLIER, ago(datetime.timedelta(minutes=31)))
        record = self.sweep()
        self.assertEqual(self.outcomes(record), {image_id(1): "deregistered"})
        over = self.get(f"locks/{REGION}.json")
        self.assertEqual((over["run"], over["isOver"]), (record["run"], True))

    def test_what_an_ended_run_has_left_is_finished(self):
        self.serve({2: [2]}, snapshots=[1, 3, 9], declared=[1])
        self.leave({1: [1, 3], 2: [2]}, {1: "attempted"})
        self.assertEqual(self.outcomes(self.sweep()), {image_id(2): "deregistered"})
        self.assertEqual(self.snapshots(), {snapshot_id(3), snapshot_id(9)}, "a snapshot without a declaration by a run stays")
        self.assertEqual(self.keys("unfinished/"), [])

    def test_an_image_that_was_brought_back_stays(self):
        self.serve({1: [1], 2: [2]})
        self.leave({1: [1]}, {1: "deregistered"})
        record = self.sweep()
        self.assertEqual(self.outcomes(record), {image_id(1): "keep", image_id(2): "deregistered"})
        kept = next(image for region in record["regions"] for image in region["images"] if image["imageId"] == image_id(1))
        self.assertIn("restored", [reason["code"] for reason in kept["reasons"]])
        self.assertEqual(self.snapshots(), {snapshot_id(1)})

    def test_records_that_cannot_be_read_hold_the_region(self):
        self.serve({1: [1]})
        self.leave({2: [2]})
        self.put(f"runs/{EARLIER}/plan-{REGION}.json", {"run": EARLIER})
        run = subprocess.run(self.command(), env=self.environment, capture_output=True, text=True, timeout=300, check=False)
        self.assertEqual(run.returncode, 1, run.stderr)
        self.assertIn(f"plan-{REGION}.json", run.stdout)
        self.assertEqual(self.images(), {image_id(1): {}})

    def test_a_killed_sweep_is_finished_by_the_next(self):
        images = {n: [2 * n, 2 * n + 1] for n in range(1, 13)}
        self.serve(images, [99], "--latency", "300ms")
        # The command line is too slow to see how far a run has come: the server's files show it.
        there = self.server.files / BUCKET / self.prefix
        for stage in (
            lambda: any(there.glob(f"unfinished/{REGION}/*")),
            lambda: any(json.loads(entry.read_text(encoding="utf-8"))["status"] == "deregistered" for entry in there.glob(f"removals/{REGION}/*/*.json")),
        ):
            killed = subprocess.Popen(self.command(), env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                wait_for("the run", stage)
            finally:
                killed.send_signal(signal.SIGKILL)
                killed.wait(timeout=10)
            held = self.get(f"locks/{REGION}.json")
            self.assertIn(f"unfinished/{REGION}/{held['run']}", self.keys("unfinished/"))
            self.assertNotIn(f"runs/{held['run']}/record.json", self.keys("runs/"))
            self.lock(held["run"], ago(datetime.timedelta(minutes=31)))
        self.assertLess(len(self.images()), len(images))
        # Nobody knows whether an image was removed that was about to be: if it is there, it stays.
        self.sweep()
        self.sweep()
        left = self.images()
        self.assertEqual(self.snapshots(), {snapshot_id(99), *(snapshot_id(s) for n, mapped in images.items() if image_id(n) in left for s in mapped)})
        attempted = {key.split("/")[2] for key in self.keys("removals/") if key.count("/") == 3 and self.get(key)["status"] == "attempted"}
        self.assertLessEqual(set(left), attempted)
        self.assertEqual([image for image, tags in left.items() if "ami-janitor:intent" in tags], [])
        self.assertEqual(self.keys("unfinished/"), [])

    def test_the_journal_works_on_this_server(self):
        run = subprocess.run(
            [GO, "test", "-count=1", "-run", "/server$|/server/", "./pkg/journal"], cwd=REPOSITORY, capture_output=True, text=True, timeout=900, check=False,
            env={**os.environ, **KEYS, "JOURNAL_TEST_ENDPOINT": self.server.url, "JOURNAL_TEST_LOCATION": self.environment["RECORDS"]},
        )
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)


def main():
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(Records)
    result = unittest.TextTestRunner(verbosity=1).run(suite)
    print(f"records: {result.testsRun} tests:", "ok" if result.wasSuccessful() else "FAILED")
    sys.exit(not result.wasSuccessful())


if __name__ == "__main__":
    main()
