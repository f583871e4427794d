"""Builds the applications with sam build, and compares the functions' binaries with those that make builds and tests run.

Usage: template_build.py SAM bin/bootstrap bin/host/bootstrap bin/reporter bin/organization/bootstrap VERSION
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

WANTED = {"-tags": "lambda.norpc", "-trimpath": "true", "CGO_ENABLED": "0", "GOOS": "linux", "GOARCH": "arm64"}

# What differs between a binary for arm64 and one for this machine. The latter keeps the paths of its sources, so that its
# compilation serves the tests as well; of a binary without them Go does not record the -ldflags.
MACHINE = {"GOARCH", "GOARM64", "GOAMD64", "-trimpath", "-ldflags"}

STEPS = ("Targets", "Census", "Gather", "Plan", "Allot", "Sweep", "Tell")


def build_info(binary):
    """Reads what the Go toolchain has written into a binary: its modules, and the settings of its build."""
    text = subprocess.run(["go", "version", "-m", binary], check=True, capture_output=True, text=True).stdout
    fields = [line.split("\t")[1:] for line in text.splitlines()[1:]]
    settings = dict(field[1].split("=", 1) for field in fields if field[0] == "build")
    return [field for field in fields if field[0] != "build"], settings


def sections(binary):
    """Returns the names of the sections of a 64-bit ELF file, without .symtab if it is stripped."""
    data = Path(binary).read_bytes()
    start, size, count, names = (int.from_bytes(data[a:b], "little") for a, b in ((40, 48), (58, 60), (60, 62), (62, 64)))
    headers = [data[start + i * size : start + (i + 1) * size] for i in range(count)]
    offset = int.from_bytes(headers[names][24:32], "little")
    return [data[offset + int.from_bytes(h[:4], "little") :].split(b"\0", 1)[0].decode() for h in headers]


def faults_of_build(directory, function, made):
    """Compares what sam build has built for a function with what make builds."""
    built = Path(directory, function, "bootstrap")
    if built.read_bytes() != Path(made).read_bytes():
        yield f"sam build does not build what make builds: {build_info(built)[1]}, not {build_info(made)[1]}"
    if not os.access(built, os.X_OK):
        yield f"the bootstrap of {function} cannot be executed"
    left = sorted(path.name for path in built.parent.iterdir())
    if left != ["bootstrap"]:
        yield f"the package of {function} holds more than the bootstrap: {left}"


def faults_of_binary(made, version):
    """Looks at how a binary was made."""
    settings = build_info(made)[1]
    yield from (f"{made}: {key} is {settings.get(key)}, not {value}" for key, value in WANTED.items() if settings.get(key) != value)
    if ".symtab" in sections(made) or ".debug_info" in sections(made):
        yield f"{made} is not stripped"
    if version.encode() not in Path(made).read_bytes():
        yield f"{made} does not know its version, {version}"


def faults_of_application(sam, environment, binaries, version):
    """Builds an application, and compares each of its functions with its binary."""
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run([sam, "build", "--config-env", environment, "--build-dir", directory], check=True, env={**os.environ, "SAM_CLI_TELEMETRY": "0"})
        for function, binary in binaries.items():
            yield from faults_of_build(directory, function, binary)
    for binary in set(binaries.values()):
        yield from faults_of_binary(binary, version)


def main(sam, made, host, reporter, organization, version):
    faults = [*faults_of_application(sam, "default", {"JanitorFunction": made, "ReporterFunction": reporter}, version)]
    faults += faults_of_application(sam, "organization", {f"{step}Function": organization for step in STEPS}, version)
    modules, settings = build_info(made)
    other_modules, other_settings = build_info(host)
    different = {key for key in {*settings, *other_settings} if settings.get(key) != other_settings.get(key)}
    if modules != other_modules or different - MACHINE:
        faults.append(f"the binary for this machine differs in {sorted(different - MACHINE) or 'its modules'}")
    if faults:
        sys.exit("\n".join(f"template_build: {fault}" for fault in faults))
    print(f"template_build: sam build builds, byte by byte, the {made}, {reporter} and {organization} that make builds; version {version}, stripped")


if __name__ == "__main__":
    main(*sys.argv[1:])
