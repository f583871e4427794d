"""Writes what other pipelines, and StackSets, deploy: the transformed templates, and the code of each function as a zip file.

template.json is that of one account, organization.json that of the hub, and member.yaml goes with it as it is.
A StackSet's service-managed role cannot run transforms; these templates have none. The name of a zip file says what is in
it, and is the default of the template's parameter for its key: so CloudFormation sees that the code has changed.

Usage: template_package.py template.yaml organization.yaml member.yaml recycle-bin.yaml bin/bootstrap bin/reporter bin/organization/bootstrap DIRECTORY VERSION
"""

import hashlib
import json
import re
import sys
import zipfile
from pathlib import Path

import template_transform

LARGEST = 1_000_000  # The most that CloudFormation takes from a bucket, in bytes.


PATTERNS = ("ami-janitor-*.zip", "ami-janitor-*.asl.json", "template.json", "organization.json", "member.yaml", "recycle-bin.yaml")


def versioned(name, version, content, suffix):
    """The name of a file, which says what is in it."""
    return f"{name}-{re.sub('[^A-Za-z0-9.]+', '-', version)}-{hashlib.sha256(content).hexdigest()[:12]}{suffix}"


def packed(binary, name, directory, version):
    """Writes the zip file of a function's code, and returns its name."""
    code = Path(binary).read_bytes()
    name = versioned(name, version, code, ".zip")
    entry = zipfile.ZipInfo("bootstrap", date_time=(1980, 1, 1, 0, 0, 0))  # The same code gives the same file.
    entry.create_system = 3  # Unix, whose permissions these are.
    entry.external_attr = 0o100755 << 16
    with zipfile.ZipFile(directory / name, "w", compresslevel=9) as file:
        file.writestr(entry, code, compress_type=zipfile.ZIP_DEFLATED)
    return name


def write_template(path, source, names, version):
    """Writes the transform of a template whose code has these names, and returns its size in bytes."""
    result = template_transform.transformed(source, code_keys=names, version=version)
    text = json.dumps(result, separators=(",", ":"))
    if "arn:aws:" in text or '"Transform"' in text:
        sys.exit(f"template_package: the transform in {path.name} is bound to a partition, or is missing")
    path.write_text(text + "\n", encoding="utf-8")
    size = path.stat().st_size
    if size > LARGEST:
        sys.exit(f"template_package: {path.name} has {size} bytes; CloudFormation takes {LARGEST}")
    return size


def main(template, hub, member, rules, janitor, reporter, organization, directory, version):
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    for old in (file for pattern in PATTERNS for file in directory.glob(pattern)):
        old.unlink()
    names = {
        "JanitorFunction": packed(janitor, "ami-janitor", directory, version),
        "ReporterFunction": packed(reporter, "ami-janitor-reporter", directory, version),
    }
    sizes = {"template.json": write_template(directory / "template.json", template_transform.load(template), names, version)}
    source = template_transform.load(hub)
    (machine,) = template_transform.of_type(source, "AWS::Serverless::StateMachine")
    definition = Path(hub).with_name(source["Resources"][machine]["Properties"]["DefinitionUri"]).read_bytes()
    code = packed(organization, "ami-janitor-organization", directory, version)  # One for all steps.
    of_hub = {**dict.fromkeys(template_transform.code_parameters(source), code), machine: versioned("ami-janitor-organization", version, definition, ".asl.json")}
    (directory / of_hub[machine]).write_bytes(definition)
    sizes["organization.json"] = write_template(directory / "organization.json", source, of_hub, version)
    for plain in (Path(member), Path(rules)):  # They have no transform, and no code.
        (directory / plain.name).write_bytes(plain.read_bytes())
    written = [f"{name} ({size} bytes)" for name, size in sizes.items()] + sorted({*names.values(), *of_hub.values()}) + ["member.yaml", "recycle-bin.yaml"]
    print(f"template_package: in {directory}: {', '.join(written)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
