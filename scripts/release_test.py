"""Makes a release of the files of this repository twice, each time in another directory, and looks at what is in it. Then it does
what the README's first minute says, where there is no Go.

The copies have one commit, with a tag. macOS and Windows are left out: their compilation takes ten minutes.

Usage: release_test.py TOOLS
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

TAG = "v1.2.3"
IDENTITY = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in (
    ("NAME", "release"), ("EMAIL", "release@example.com"), ("DATE", "2026-11-30T02:00:00Z"))}

TARGETS = ("linux_amd64", "linux_arm64")
FUNCTIONS = {"function": "JanitorFunction", "reporter": "ReporterFunction", "organization": "TargetsFunction"}
ARCHIVES = {f"ami-janitor_{TAG}_{name}.tar.gz" for name in (*TARGETS, "package")}
BILLS = {f"ami-janitor_{TAG}_{target}.cdx.json" for target in TARGETS} | {f"ami-janitor-{name}_{TAG}.cdx.json" for name in FUNCTIONS}

# What a shell needs for the first minute.
PROGRAMS = ("cat", "gzip", "ls", "sh", "tar")


def expect(what, true):
    if not true:
        sys.exit(f"release_test: not so: {what}")


def run(*command, **options):
    return subprocess.run(command, check=True, capture_output=True, text=True, **options).stdout


def released(directory, tools):
    """Makes a release of a copy of the repository in a directory, and returns where it is."""
    directory.mkdir()
    for name in run("git", "ls-files", "--cached", "--others", "--exclude-standard").splitlines():
        if Path(name).is_file():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(name, directory / name)
    environment = {**os.environ, **IDENTITY}
    for command in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message", "release"], ["tag", TAG]):
        run("git", *command, cwd=directory, env=environment)
    # The tools are there already, and a copy's file for them is no newer than they.
    make = subprocess.run(
        ["make", f"TOOLS={tools}", f"--old-file={tools}/sam/bin/sam", "LINUX_ONLY=true", "release"],
        cwd=directory, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )
    expect(f"make release ends well:\n{make.stdout}", make.returncode == 0)
    return directory / "bin" / "release"


def files(release):
    return {path.name: path.read_bytes() for path in release.iterdir() if path.is_file() and path.name not in NOT_RELEASED}


# What goreleaser keeps of its own: its configuration, and lists with the time of the run.
NOT_RELEASED = {"artifacts.json", "config.yaml", "metadata.json"}


def inspect(release):
    """Looks at the files of a release."""
    found = files(release)
    expect(f"there are the archives and the bills of materials, not {sorted(found)}", set(found) == {*ARCHIVES, *BILLS, "checksums.txt"})
    sums = dict(reversed(line.split("  ")) for line in found["checksums.txt"].decode().splitlines())
    expect("the checksums are of all files", sums == {name: hashlib.sha256(data).hexdigest() for name, data in found.items() if name != "checksums.txt"})
    for name in BILLS:
        bill = json.loads(found[name])
        modules = {component["name"] for component in bill["components"]}
        expect(f"{name} is a bill of materials in CycloneDX", bill["bomFormat"] == "CycloneDX" and "std" in modules)
        expect(f"{name} is of this version", bill["metadata"]["component"]["version"] == TAG)
        expect(f"{name} says what is in it", "github.com/aws/aws-sdk-go-v2" in modules and len(bill["dependencies"]) > len(modules))
    for name in ARCHIVES:
        with tarfile.open(release / name) as archive:
            members = [member for member in archive.getmembers() if member.isfile()]
        times = {member.mtime for member in members}
        expect(f"{name} has the time of the commit, and root's names", times == {1796004000} and {member.uname for member in members} == {"root"})
    for target in TARGETS:
        with tarfile.open(release / f"ami-janitor_{TAG}_{target}.tar.gz") as archive:
            expect("an archive has the command line and its papers", sorted(archive.getnames()) == ["CHANGELOG.md", "LICENSE", "README.md", "ami-janitor"])
            expect("the command line can be executed", archive.getmember("ami-janitor").mode == 0o755)


def inspect_package(directory):
    """Looks at an unpacked package: every template and every function says the version."""
    for name in ("template.json", "organization.json"):
        template = json.loads((directory / name).read_text(encoding="utf-8"))
        expect(f"{name} says its version", template["Description"].endswith(f" Version {TAG}."))
        for parameter in ("CodeKey", "ReporterCodeKey", "DefinitionKey"):
            key = template["Parameters"].get(parameter, {}).get("Default", "")
            expect(f"{name} names the files of this version", not key or ("v1.2.3" in key and (directory / key).is_file()))
    zips = sorted(directory.glob("*.zip"))
    expect("there is a zip file for each binary", len(zips) == 3)
    for path in zips:
        with zipfile.ZipFile(path) as archive:
            expect(f"{path.name} says its version", archive.namelist() == ["bootstrap"] and TAG.encode() in archive.read("bootstrap"))
    for name in ("LICENSE", "member.yaml", "recycle-bin.yaml"):
        expect(f"{name} is as it was", (directory / name).read_bytes() == Path(name).read_bytes())


def first_minute():
    """The commands of the README that need no Go."""
    (block,) = re.findall(r"```sh\n(tar -xzf .*?)```", Path("README.md").read_text(encoding="utf-8"), re.DOTALL)
    return block


def try_it(release, directory):
    """Does what the README says in the first minute, with no Go."""
    programs = directory / "programs"
    programs.mkdir(parents=True)
    for name in PROGRAMS:
        (programs / name).symlink_to(shutil.which(name))
    environment = {"PATH": str(programs), "HOME": str(directory)}
    expect("there is no Go", subprocess.run(["/bin/sh", "-c", "command -v go"], env=environment, stdout=subprocess.DEVNULL).returncode)
    shutil.copy(release / f"ami-janitor_{TAG}_linux_amd64.tar.gz", directory)
    # Its commands end with 3 where proof is missing, as on the sample.
    done = subprocess.run(["/bin/sh", "-x"], input=first_minute(), cwd=directory, env=environment, capture_output=True, text=True)
    expect(f"each command ends well:\n{done.stdout}{done.stderr}", done.returncode in (0, 3) and "not found" not in done.stderr)
    for said in ("Dry run: would deregister", "before-upgrade", "\nDeregistered ", "REMOVED (", "NEEDS YOU ("):
        expect(f"it says {said!r}:\n{done.stdout}{done.stderr}", said in done.stdout)
    expect("it draws the report", "</html>" in (directory / "report.html").read_text(encoding="utf-8"))
    version = run(directory / "ami-janitor", "version", env=environment)
    expect("the command line says its version", version == f"{TAG}\n")


def main(tools):
    with tempfile.TemporaryDirectory() as temporary:
        there = Path(temporary)
        first = released(there / "one", Path(tools).resolve())
        inspect(first)
        with tarfile.open(first / f"ami-janitor_{TAG}_package.tar.gz") as archive:
            archive.extractall(there, filter="data")
        inspect_package(there / "ami-janitor-package")
        try_it(first, there / "trial")
        second = released(there / "another", Path(tools).resolve())
        different = [name for name, data in files(first).items() if files(second).get(name) != data]
        expect(f"a second run writes the same bytes, but not of {different}", files(first).keys() == files(second).keys() and not different)
    print(f"release_test: two runs in two directories wrote the same {len(ARCHIVES)} archives and {len(BILLS)} bills of materials; the first minute needs no Go")


if __name__ == "__main__":
    main(*sys.argv[1:])
