"""Stands in for the functions of organization.yaml: each step answers, fails or dies as the run's id says.

The id of a run is a list of STEP-ACCOUNT:HOW, separated by commas, such as census-111122223333:fail,gather:fail. HOW is fail or
die. Targets takes the id from the wish. Every call is a line of the file CALLS.
"""

import json
import os
import sys
import urllib.request

KEYS = {"census": "org/runs/test/census.json", "plan": "org/runs/test/plan.json", "items": "org/runs/test/sweep.json"}


class Failure(Exception):
    """What the function fails with."""


def answer(step, event, die):
    """What the function of a step answers to an event."""
    run = event["wish"].get("run", "") if step == "targets" else event.get("run", "")
    failing = dict(each.rsplit(":", 1) for each in run.split(",") if each)
    how = failing.get(step) or failing.get(f"{step}-{event.get('account')}")
    if how == "die":
        die()
    if how:
        raise Failure(f"{step} fails")
    match step:
        case "targets":
            keys = {name: event["wish"].get(name, KEYS[name]) for name in ("census", "plan")}
            return {"run": run, "dryRun": event["wish"].get("dryRun", False), **keys}
        case "allot":
            return {"sweeps": 0 if event["dryRun"] else 1, "items": KEYS["items"]}
        case "tell":
            return {"told": True}
    return {"large": "x" * 1000}  # No map may return it.


def main():
    """Serves invocations by Lambda's Runtime API."""
    step, api = os.environ["STEP"], f"http://{os.environ['AWS_LAMBDA_RUNTIME_API']}/2018-06-01/runtime/invocation"
    while True:
        with urllib.request.urlopen(f"{api}/next") as response:
            request, event = response.headers["Lambda-Runtime-Aws-Request-Id"], json.load(response)
        with open(os.environ["CALLS"], "a", encoding="utf-8") as calls:
            calls.write(json.dumps([step, event]) + "\n")
        try:
            result, path = answer(step, event, lambda: os._exit(1)), "response"
        except Failure as failure:
            result, path = {"errorType": "Failure", "errorMessage": str(failure)}, "error"
        urllib.request.urlopen(urllib.request.Request(f"{api}/{request}/{path}", json.dumps(result).encode())).close()


if __name__ == "__main__":
    sys.exit(main())
