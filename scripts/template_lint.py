"""Runs cfn-lint on templates and on their transforms: with each of their conditions otherwise, every two of them on which one
resource depends, and all. Then on recycle-bin.yaml, which has no condition.

Usage: template_lint.py template.yaml …
"""

import functools
import json
import multiprocessing
import sys
from pathlib import Path

from cfnlint.config import ConfigMixIn
from cfnlint.decode import decode_str
from cfnlint.runner import Runner

import template_transform

# One region of each partition. Amazon Q Developer in chat applications is in the first only.
COMMERCIAL = ("us-east-1",)
ALL = (*COMMERCIAL, "us-gov-west-1", "cn-north-1")

# A parameter that only a condition reads looks unused where the condition is decided.
IGNORED = ("W2001",)


@functools.cache
def linter(regions, ignored):
    return Runner(ConfigMixIn(regions=list(regions), ignore_checks=list(ignored)))


def problems(case):
    name, text, regions, ignored = case
    template, matches = decode_str(text)
    if not matches:
        matches = linter(regions, ignored).validate_template(template)
    return [(f"{match.rule.id} {match.message}", name) for match in matches]


def cases(path):
    with open(path, encoding="utf-8") as file:
        yield path, file.read(), COMMERCIAL, ()
    kinds = {path: template_transform.load(path)}
    if "Transform" in kinds[path]:
        transform = f"the transform of {path}"
        kinds[transform] = template_transform.transformed(kinds[path])
        yield transform, json.dumps(kinds[transform]), COMMERCIAL, ()
    for parameters, conditions in template_transform.combinations(kinds[path]):
        regions = COMMERCIAL if conditions.get("HasSlack") else ALL
        said = ", ".join(f"{name}={value}" for name, value in parameters.items()) or "the defaults"
        for kind, template in kinds.items():
            left = template_transform.reduced(template, parameters, conditions)
            yield f"{kind} with {said}", json.dumps(left), regions, IGNORED


def main(*paths):
    rules = Path(paths[0]).with_name("recycle-bin.yaml")
    every, found = [(str(rules), rules.read_text(encoding="utf-8"), ALL, ())], {}
    for path in paths:
        every += cases(path)
    with multiprocessing.Pool() as pool:
        for some in pool.imap(problems, every, chunksize=4):
            for problem, name in some:
                found.setdefault(problem, []).append(name)
    if found:
        sys.exit("\n".join(f"{problem}: in {names[0]}, {len(names)} times in all" for problem, names in found.items()))
    print(f"template_lint: {', '.join(paths)} and {rules.name} have no fault; {len(every)} templates and reductions of them were read")


if __name__ == "__main__":
    main(*sys.argv[1:])
