"""Writes what other pipelines, and StackSets, deploy: the transformed template, and the code of each function as a zip file.

A StackSet's service-managed role cannot run transforms; this template has none. The name of a zip file says what is in
it, and is the default of the template's parameter for its key: so CloudFormation sees that the code has changed.

Usage: template_package.py template.yaml bin/bootstrap bin/reporter DIRECTORY VERSION
"""

import hashlib
import json
import re
import sys
import zipfile
from pathlib import Path

import template_transform

LARGEST = 1_000_000  # The most that CloudFormation takes from a bucket, in bytes.


def packed(binary, name, directory, version):
    """Writes the zip file of a function's code, and returns its name."""
    code = Path(binary).read_bytes()
    name = f"{name}-{re.sub('[^A-Za-z0-9.]+', '-', version)}-{hashlib.sha256(code).hexdigest()[:12]}.zip"
    entry = zipfile.ZipInfo("bootstrap", date_time=(1980, 1, 1, 0, 0, 0))  # The same code gives the same file.
    entry.create_system = 3  # Unix, whose permissions these are.
    entry.external_attr = 0o100755 << 16
    with zipfile.ZipFile(directory / name, "w", compresslevel=9) as file:
        file.writestr(entry, code, compress_type=zipfile.ZIP_DEFLATED)
    return name


def main(template, janitor, reporter, directory, version):
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    for old in [*directory.glob("ami-janitor-*.zip"), *directory.glob("template.json")]:
        old.unlink()
    names = {
        "JanitorFunction": packed(janitor, "ami-janitor", directory, version),
        "ReporterFunction": packed(reporter, "ami-janitor-reporter", directory, version),
    }
    result = template_transform.transformed(template_transform.load(template), code_keys=names, version=version)
    text = json.dumps(result, separators=(",", ":"))
    if "arn:aws:" in text or '"Transform"' in text:
        sys.exit("template_package: the transform is bound to a partition, or is missing")
    (directory / "template.json").write_text(text + "\n", encoding="utf-8")
    size = len((directory / "template.json").read_bytes())
    if size > LARGEST:
        sys.exit(f"template_package: the template has {size} bytes; CloudFormation takes {LARGEST}")
    print(f"template_package: {directory / 'template.json'} ({size} bytes), {', '.join(str(directory / name) for name in names.values())}")


if __name__ == "__main__":
    main(*sys.argv[1:])
