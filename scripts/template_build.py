"""Builds the applications with sam build, and compares the functions' binaries with those that make builds and tests run. Then
it looks into the package for other pipelines.

Usage: template_build.py SAM bin/bootstrap bin/host/bootstrap bin/reporter bin/organization/bootstrap VERSION
"""

import json
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import template_package

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


def faults_of_template(directory, name, code):
    """Compares the code of a packed template, as its parameters' defaults say it, with binaries by function."""
    template = json.loads(Path(directory, name).read_text(encoding="utf-8"))

    def file(place):
        bucket, key = (place[field]["Ref"] for field in ("Bucket", "Key"))
        return Path(directory, template["Parameters"][key]["Default"]) if bucket == "CodeBucket" else None

    found = {}
    for resource, definition in template["Resources"].items():
        properties = definition["Properties"]
        if definition["Type"] == "AWS::Lambda::Function":
            with zipfile.ZipFile(file({"Bucket": properties["Code"]["S3Bucket"], "Key": properties["Code"]["S3Key"]})) as archive:
                found[resource] = archive.read("bootstrap")
                if archive.namelist() != ["bootstrap"] or archive.getinfo("bootstrap").external_attr >> 16 & 0o777 != 0o755:
                    yield f"{name}: the zip file of {resource} holds more than a bootstrap that can be executed"
        if definition["Type"] == "AWS::StepFunctions::StateMachine":
            found[resource] = file(properties["DefinitionS3Location"]).read_bytes()
            if not properties["DefinitionSubstitutions"]:
                yield f"{name}: {resource} has no substitutions"
    want = {resource: Path(path).read_bytes() for resource, path in code.items()}
    yield from (f"{name}: {resource} has other code than {code.get(resource)}" for resource in {*found, *want} if found.get(resource) != want.get(resource))


def faults_of_package(single, organization, binaries, version):
    """Packs both applications, and compares what is packed with the binaries and the files."""
    with tempfile.TemporaryDirectory() as directory:
        for _ in range(2):  # The second takes the place of the first.
            template_package.main("template.yaml", "organization.yaml", "member.yaml", "recycle-bin.yaml", *binaries, directory, version)
        yield from faults_of_template(directory, "template.json", single)
        yield from faults_of_template(directory, "organization.json", {**organization, "Machine": "organization.asl.json"})
        for name in ("member.yaml", "recycle-bin.yaml"):
            if Path(directory, name).read_bytes() != Path(name).read_bytes():
                yield f"the package has another {name}"
        if (files := len(list(Path(directory).iterdir()))) != 8:
            yield f"the package has {files} files, and not 8"


def main(sam, made, host, reporter, organization, version):
    single, steps = {"JanitorFunction": made, "ReporterFunction": reporter}, {f"{step}Function": organization for step in STEPS}
    faults = [*faults_of_application(sam, "default", single, version)]
    faults += faults_of_application(sam, "organization", steps, version)
    faults += faults_of_package(single, steps, (made, reporter, organization), version)
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
