"""Writes what other pipelines, and StackSets, deploy: the transformed template, and the code of the function as a zip file.

A StackSet's service-managed role cannot run transforms; this template has none. The name of the zip file says what is in
it, and is the default of the template's parameter CodeKey: so CloudFormation sees that the code has changed.

Usage: template_package.py template.yaml bin/bootstrap DIRECTORY VERSION
"""

import hashlib
import json
import re
import sys
import zipfile
from pathlib import Path

import template_transform

INLINE = 51_200  # The most that CloudFormation takes without a bucket, in bytes.


def main(template, bootstrap, directory, version):
    code = Path(bootstrap).read_bytes()
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    for old in [*directory.glob("ami-janitor-*.zip"), *directory.glob("template.json")]:
        old.unlink()
    name = f"ami-janitor-{re.sub('[^A-Za-z0-9.]+', '-', version)}-{hashlib.sha256(code).hexdigest()[:12]}.zip"
    entry = zipfile.ZipInfo("bootstrap", date_time=(1980, 1, 1, 0, 0, 0))  # The same code gives the same file.
    entry.create_system = 3  # Unix, whose permissions these are.
    entry.external_attr = 0o100755 << 16
    with zipfile.ZipFile(directory / name, "w", compresslevel=9) as file:
        file.writestr(entry, code, compress_type=zipfile.ZIP_DEFLATED)
    result = template_transform.transformed(template_transform.load(template), code_key=name, version=version)
    text = json.dumps(result, separators=(",", ":"))
    if "arn:aws:" in text or '"Transform"' in text:
        sys.exit("template_package: the transform is bound to a partition, or is missing")
    (directory / "template.json").write_text(text + "\n", encoding="utf-8")
    size = len((directory / "template.json").read_bytes())
    if size > INLINE:
        sys.exit(f"template_package: the template has {size} bytes; without a bucket CloudFormation takes {INLINE}")
    print(f"template_package: {directory / 'template.json'} ({size} bytes), {directory / name}")


if __name__ == "__main__":
    main(*sys.argv[1:])
