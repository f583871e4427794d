"""Exports the sample account, served by the emulator, with the real AWS CLI, and rehearses on the copy.

usage: export_account_test.py AMI-JANITOR AWS
"""

import json
import os
import pathlib
import re
import stat
import subprocess
import sys
import tempfile
import unittest

JANITOR, AWS = (os.path.abspath(path) for path in sys.argv[1:3])
SCRIPTS = pathlib.Path(__file__).parent
FORMATS = SCRIPTS.parent / "pkg" / "emulator" / "document.go"
NOW = "2026-11-23T02:00:00Z"


class Exporting(unittest.TestCase):
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
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_MAX_ATTEMPTS": "1",
        }
        self.copy = self.home / "copy"

    def serve(self, *arguments):
        emulator = subprocess.Popen(
            [JANITOR, "emulate", "--listen", "127.0.0.1:0", "--now", NOW, *arguments],
            env=self.environment, stdout=subprocess.PIPE, text=True,
        )
        self.addCleanup(emulator.stdout.close)
        self.addCleanup(emulator.wait, timeout=10)
        self.addCleanup(emulator.terminate)
        self.environment["AWS_ENDPOINT_URL"] = emulator.stdout.readline().strip()

    def serve_little(self):
        """An account with one image, two launch templates, and two parameters, one of them secret."""
        account = self.home / "account"
        account.mkdir()
        for name, content in {
            "get-caller-identity": {"Account": "123456789012"},
            "describe-images": {"Images": [{"ImageId": "ami-0123456789abcdef0", "OwnerId": "123456789012", "State": "available"}]},
            "describe-launch-templates": {"LaunchTemplates": [{"LaunchTemplateId": "lt-1"}, {"LaunchTemplateId": "lt-2"}]},
            "describe-launch-template-versions": {"LaunchTemplateVersions": [
                {"LaunchTemplateId": f"lt-{i}", "LaunchTemplateName": f"lt-{i}", "VersionNumber": number, "DefaultVersion": number == 1,
                 "LaunchTemplateData": {"ImageId": "resolve:ssm:golden:2"} if number > 1 else {}}
                for i in (1, 2) for number in (1, 2, 3)
            ]},
            "get-parameters": {"Parameters": [
                {"Name": "golden", "Type": "String", "Value": "ami-0123456789abcdef0", "Version": 3},
                {"Name": "golden", "Type": "String", "Value": "ami-0123456789abcdef1", "Version": 2, "Selector": ":2"},
                {"Name": "password", "Type": "SecureString", "Value": "correct horse battery staple", "Version": 1},
            ]},
        }.items():
            (account / f"{name}.json").write_text(json.dumps(content))
        self.serve("--account", str(account))

    def export(self, *arguments, cli=AWS):
        return subprocess.run(
            [sys.executable, SCRIPTS / "export_account", self.copy, "--region", "us-east-1", "--aws", cli, *arguments],
            env=self.environment, capture_output=True, text=True, timeout=600, check=False,
        )

    def rehearse(self, *arguments):
        run = subprocess.run(
            [JANITOR, "rehearse", "--now", NOW, "--dry-run", "--output", "json", *arguments],
            env=self.environment, capture_output=True, text=True, timeout=60, check=False,
        )
        self.assertEqual(run.returncode, 3, run.stderr)  # Nobody may read the launch permissions of one image of the sample.
        return json.loads(run.stdout)

    def stand_in(self, cases):
        """A command that does as the cases of a shell say, and where none of them fits, what the AWS CLI does."""
        path = self.home / "aws"
        path.write_text(f'#!/bin/sh\ncase "$*" in\n{cases}\nesac\nexec {AWS} "$@"\n')
        path.chmod(0o700)
        return path

    def read(self, name):
        return json.loads((self.copy / f"{name}.json").read_text(encoding="utf-8"))

    def files(self):
        return {path.name for path in self.copy.iterdir()}

    def test_a_rehearsal_on_the_copy_comes_to_the_same_verdicts(self):
        self.serve()
        run = self.export()
        self.assertEqual(run.returncode, 0, run.stderr)
        read = set(re.findall(r'File\s+= "([a-z-]+\.json)"', FORMATS.read_text(encoding="utf-8")))
        self.assertEqual(self.files(), read, "the files that the emulator reads")
        self.assertEqual(stat.S_IMODE(self.copy.stat().st_mode), 0o700, "it holds what not everybody may see")

        # What is looked at may depend on the settings.
        for settings in ((), ("--orphaned-snapshots", "report", "--require-recycle-bin", "false"), ("--shared-images", "report", "--launch-template-versions", "1", "--image-builder-images", "judge", "--grace", "14d")):
            with self.subTest(settings):
                # The copy lacks the records of the sample, so neither rehearsal gets them.
                original = self.rehearse(*settings, "--records", tempfile.mkdtemp(dir=self.home))
                copied = self.rehearse(*settings, "--records", tempfile.mkdtemp(dir=self.home), "--account", str(self.copy))
                verdicts = {image["verdict"] for region in original["regions"] for image in region["images"]}
                self.assertLessEqual({"keep", "mark" if "--grace" in settings else "deregister"}, verdicts)
                self.maxDiff = None
                self.assertEqual(copied["regions"], original["regions"])
                self.assertEqual(copied["totals"], original["totals"])

    def test_all_versions_and_all_values_but_secrets_are_there(self):
        self.serve_little()
        run = self.export()
        self.assertEqual(run.returncode, 0, run.stderr)
        versions = self.read("describe-launch-template-versions")["LaunchTemplateVersions"]
        self.assertEqual(sorted((v["LaunchTemplateId"], v["VersionNumber"]) for v in versions), [(f"lt-{i}", n) for i in (1, 2) for n in (1, 2, 3)])
        values = self.read("get-parameters")["Parameters"]
        self.assertEqual([(p["Name"], p["Version"]) for p in values], [("golden", 3), ("golden", 2)])
        self.assertEqual({p["Name"] for p in self.read("describe-parameters")["Parameters"]}, {"golden", "password"})

    def test_what_cannot_be_read_is_named_and_leaves_no_file(self):
        self.serve_little()
        denied = "An error occurred (UnauthorizedOperation) when calling the operation: You are not authorized."
        run = self.export(cli=self.stand_in(f"""
            *" describe-spot-fleet-requests "*|*"--launch-template-id lt-2 "*) echo "{denied}" >&2; exit 254;;
            *"describe-image-attribute"*) echo "{denied}" >&2; exit 254;;
            *"describe-instances "*--include-managed-resources*) echo "Unknown options: --include-managed-resources" >&2; exit 252;;
            *"describe-locked-snapshots --next-token more "*) echo '{{"Snapshots": [{{"SnapshotId": "snap-2"}}]}}'; exit;;
            *"describe-locked-snapshots "*) echo '{{"Snapshots": [{{"SnapshotId": "snap-1"}}], "NextToken": "more"}}'; exit;;
        """))
        self.assertEqual(run.returncode, 1, run.stderr)
        self.assertIn("NOT COMPLETE", run.stderr)
        for missing in ("describe-spot-fleet-requests.json", "describe-launch-template-versions.json"):
            self.assertIn(f"{missing}: {denied}", run.stderr)
            self.assertNotIn(missing, self.files())
        self.assertFalse([name for name in self.files() if not name.endswith(".json")], "half files")

        # What the command line is too old to ask for is named; the rest of that listing is there.
        self.assertIn("describe-instances: what services manage and hide", run.stderr)
        self.assertIn("Reservations", self.read("describe-instances"))

        # A listing whose pages the command line does not join is read to its end.
        self.assertEqual(self.read("describe-locked-snapshots"), {"Snapshots": [{"SnapshotId": "snap-1"}, {"SnapshotId": "snap-2"}]})

        # A launch permission that may not be seen is one that a rehearsal cannot see either.
        self.assertEqual(self.read("describe-launch-permissions"), {"ami-0123456789abcdef0": None})
        self.assertIn("ami-0123456789abcdef0", run.stderr)

    def test_without_credentials_it_says_so_once(self):
        run = self.export(cli=self.stand_in('*) echo "Unable to locate credentials." >&2; exit 253;;'))
        self.assertEqual((run.returncode, run.stderr.count("Unable to locate credentials.")), (1, 1), run.stderr)
        self.assertEqual(self.files(), set())

    def test_a_directory_in_use_is_left_alone(self):
        self.copy.mkdir()
        (self.copy / "describe-images.json").write_text("{}")
        run = self.export()
        self.assertEqual(run.returncode, 2, run.stderr)
        self.assertEqual(self.files(), {"describe-images.json"})


def main():
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(Exporting)
    result = unittest.TextTestRunner(verbosity=1).run(suite)
    print(f"export_account: {result.testsRun} tests:", "ok" if result.wasSuccessful() else "FAILED")
    sys.exit(not result.wasSuccessful())


if __name__ == "__main__":
    main()
