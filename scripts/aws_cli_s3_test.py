"""Keeps objects in the emulated account with the real AWS CLI, which shares no code with ours.

usage: aws_cli_s3_test.py AMI-JANITOR AWS

The account is served by `AMI-JANITOR emulate` on a free port, as in aws_cli_test.py.
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

JANITOR, AWS = (os.path.abspath(path) for path in sys.argv[1:3])
BUCKET = "amzn-s3-demo-bucket"


class Refused(Exception):
    """What the CLI says when S3 refuses. Its code is S3's."""

    def __init__(self, stderr):
        super().__init__(stderr.strip())
        found = re.search(r"An error occurred \(([\w.]+)\)", stderr)
        self.code = found and found[1]


class Objects(unittest.TestCase):
    def setUp(self):
        home = tempfile.TemporaryDirectory()  # No configuration but ours.
        self.addCleanup(home.cleanup)
        self.home = pathlib.Path(home.name)
        self.log = self.home / "requests.jsonl"
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
            [JANITOR, "emulate", "--listen", "127.0.0.1:0", "--log", self.log],
            env=self.environment, stdout=subprocess.PIPE, text=True,
        )
        self.addCleanup(emulator.stdout.close)
        self.addCleanup(emulator.wait, timeout=10)
        self.addCleanup(emulator.terminate)
        self.environment["AWS_ENDPOINT_URL"] = emulator.stdout.readline().strip()

    def run_aws(self, *arguments):
        """Runs the CLI, and returns what it prints."""
        run = subprocess.run(
            [AWS, *map(str, arguments)], env=self.environment, capture_output=True, text=True, timeout=60, check=False,
        )
        if run.returncode:
            raise Refused(run.stderr or run.stdout)
        return run.stdout

    def api(self, command, *arguments):
        return json.loads(self.run_aws("s3api", command, "--bucket", BUCKET, *arguments, "--output", "json") or "{}")

    def write(self, content):
        path = self.home / "upload"
        path.write_bytes(content)
        return path

    def assertRefused(self, code, *command):
        with self.assertRaises(Refused) as refused:
            self.api(*command)
        self.assertEqual(refused.exception.code, code, refused.exception)

    def test_objects_are_written_on_condition_and_read(self):
        first = self.api("put-object", "--key", "locks/ä b.json", "--body", self.write(b"one"), "--if-none-match", "*",
                         "--content-type", "application/json", "--checksum-algorithm", "SHA256")
        self.assertRefused("PreconditionFailed", "put-object", "--key", "locks/ä b.json", "--body", self.write(b"two"), "--if-none-match", "*")
        self.api("put-object", "--key", "locks/ä b.json", "--body", self.write(b"two"), "--if-match", first["ETag"])
        self.assertRefused("PreconditionFailed", "put-object", "--key", "locks/ä b.json", "--body", self.write(b"three"), "--if-match", first["ETag"])
        self.assertRefused("NoSuchKey", "put-object", "--key", "other", "--body", self.write(b"three"), "--if-match", first["ETag"])
        got = self.home / "download"
        answer = self.api("get-object", "--key", "locks/ä b.json", got)
        self.assertEqual((got.read_bytes(), answer["ContentLength"]), (b"two", 3))
        self.assertEqual(self.api("head-object", "--key", "locks/ä b.json")["ETag"], answer["ETag"])
        self.api("delete-object", "--key", "locks/ä b.json")
        self.assertRefused("NoSuchKey", "get-object", "--key", "locks/ä b.json", got)
        self.assertRefused("404", "head-object", "--key", "locks/ä b.json")
        self.assertRefused("NotImplemented", "get-bucket-acl")
        last = json.loads(self.log.read_text(encoding="utf-8").splitlines()[-1])
        self.assertEqual([last[name] for name in ("svc", "status", "code")], ["s3", 501, "NotImplemented"])

    def test_files_are_copied_and_listed(self):
        source = self.home / "source"
        (source / "runs" / "b").mkdir(parents=True)
        for name, content in {"runs/a.json": b"{}", "runs/b/ü.json": b"x" * 100, "z": b""}.items():
            (source / name).write_bytes(content)
        self.run_aws("s3", "cp", source, f"s3://{BUCKET}/records", "--recursive")
        listed = self.api("list-objects-v2", "--page-size", "1")["Contents"]
        self.assertEqual([(o["Key"], o["Size"]) for o in listed], [("records/runs/a.json", 2), ("records/runs/b/ü.json", 100), ("records/z", 0)])
        top = self.api("list-objects-v2", "--prefix", "records/", "--delimiter", "/")
        self.assertEqual([p["Prefix"] for p in top["CommonPrefixes"]], ["records/runs/"])
        self.assertEqual(self.api("list-objects-v2", "--start-after", "records/runs/b")["Contents"], listed[1:])
        self.assertRegex(self.run_aws("s3", "ls", f"s3://{BUCKET}/records/"), r"PRE runs/\n.* 0 z\n$")
        self.run_aws("s3", "cp", f"s3://{BUCKET}/records", self.home / "target", "--recursive")
        self.assertEqual((self.home / "target" / "runs" / "b" / "ü.json").read_bytes(), b"x" * 100)
        self.run_aws("s3", "rm", f"s3://{BUCKET}/records/z")
        self.assertEqual(len(self.api("list-objects-v2")["Contents"]), 2)

    def test_a_large_object_is_read_in_parts(self):
        content = os.urandom(9 << 20)
        self.api("put-object", "--key", "large", "--body", self.write(content))
        self.run_aws("s3", "cp", f"s3://{BUCKET}/large", self.home / "large")
        self.assertEqual((self.home / "large").read_bytes(), content)


def main():
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(Objects)
    result = unittest.TextTestRunner(verbosity=1).run(suite)
    version = subprocess.run([AWS, "--version"], capture_output=True, text=True, check=True).stdout.split()[0]
    print(f"aws-cli-s3: {result.testsRun} tests, {version}:", "ok" if result.wasSuccessful() else "FAILED")
    sys.exit(not result.wasSuccessful())


if __name__ == "__main__":
    main()
