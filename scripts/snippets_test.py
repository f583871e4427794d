"""Runs the snippets of docs/deploying.md that deploy without SAM, and those around them, as the page has them.

CloudFormation, StackSets and Terraform work on a moto server on this machine, with what moto's CloudFormation can create of
the template: scripts/template_deploy.py deploys all of it. The CDK has the whole template. The Serverless Application Repository is
a stub that checks what sam publish sends by AWS's own model of the service, and the weekly plan is of the emulated account.

Usage: snippets_test.py SAM AWS NODE_MODULES AMI_JANITOR bin/package
"""

import json
import logging
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1"}
os.environ.update(KEYS)

import boto3
from botocore.validate import validate_parameters
from moto.server import ThreadedMotoServer

import template_transform
from template_deploy import BY_CLOUDFORMATION

PAGE = Path("docs/deploying.md")
BUCKET, UNIT = "amzn-s3-demo-bucket", "ou-ab12-c3d4e5f6"
EMAIL = "platform@example.com"


def expect(what, true):
    if not true:
        sys.exit(f"snippets_test: not so: {what}")


def section(heading):
    """The text of a section of the page."""
    (text,) = re.findall(rf"^##+ {re.escape(heading)}\n(.*?)(?=^## |^### |\Z)", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return text.replace("BUCKET", BUCKET).replace("Units=OU", f"Units={UNIT}").replace("UnitIds=OU", f"UnitIds={UNIT}")


def block(heading, language="sh"):
    """The first block of code in a section of the page."""
    return re.search(rf"^```{language}\n(.*?)^```$", section(heading), re.DOTALL | re.MULTILINE)[1]


def run(*command, status=0, **options):
    """Runs a command, and returns what it says."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    expect(f"{' '.join(map(str, command))[:200]} ends with {status}:\n{done.stdout}", done.returncode == status)
    return done.stdout


def shell(commands, environment, directory):
    return run("sh", "-e", "-c", commands, env=environment, cwd=directory)


class Account:
    """What is in moto's account."""

    def __init__(self, endpoint):
        self.endpoint = endpoint
        self.cloudformation, self.s3, self.function = (boto3.client(name, endpoint_url=endpoint) for name in ("cloudformation", "s3", "lambda"))

    def stacks(self):
        return {stack["StackName"]: stack for stack in self.cloudformation.describe_stacks()["Stacks"]}

    def expect_stack(self, template):
        """Looks at the stack that a snippet has made."""
        stack = self.stacks()["ami-janitor"]
        expect("the stack is there", stack["StackStatus"] in ("CREATE_COMPLETE", "UPDATE_COMPLETE"))
        parameters = {p["ParameterKey"]: p["ParameterValue"] for p in stack["Parameters"]}
        expect("it has the parameters of the snippet", (parameters["CodeBucket"], parameters["DigestEmail"]) == (BUCKET, EMAIL))
        expect("it has the default of the others", parameters["CodeKey"] == template["Parameters"]["CodeKey"]["Default"])
        found = self.function.list_functions()["Functions"]
        expect("both functions are there", len(found) == 2 and all(f["CodeSize"] > 1_000_000 for f in found))

    def empty(self):
        """Takes down what a snippet has left."""
        for name in self.stacks():
            self.cloudformation.delete_stack(StackName=name)
        for bucket in self.s3.list_buckets()["Buckets"]:
            for item in self.s3.list_objects_v2(Bucket=bucket["Name"]).get("Contents", []):
                self.s3.delete_object(Bucket=bucket["Name"], Key=item["Key"])
            if bucket["Name"] != BUCKET:
                self.s3.delete_bucket_policy(Bucket=bucket["Name"])
                self.s3.delete_bucket(Bucket=bucket["Name"])


def cloudformation(account, directory, template, aws):
    (directory / "config").write_text("[default]\ns3 =\n  addressing_style = path\n", encoding="utf-8")
    environment = {
        **os.environ,
        "PATH": f"{aws.parent}:{os.environ['PATH']}",
        "AWS_CONFIG_FILE": str(directory / "config"),
        "AWS_ENDPOINT_URL": account.endpoint,
        "AWS_ENDPOINT_URL_S3": account.endpoint.replace("127.0.0.1", "localhost"),  # moto looks for the word in a template's URL.
    }
    shell(block("CloudFormation"), environment, directory)
    account.expect_stack(template)
    account.cloudformation.delete_stack(StackName="ami-janitor")
    (link,) = re.findall(r"`https://console\.aws\.amazon\.com/cloudformation/home#/stacks/create/review\?(.*)`", section("CloudFormation"))
    query = {key: values[0] for key, values in parse_qs(link).items()}
    expect("the console's link names the template", query["templateURL"] == f"https://{BUCKET}.s3.amazonaws.com/template.json")
    named = {key.removeprefix("param_") for key in query} - {"stackName", "templateURL"}
    needed = {key for key, parameter in template["Parameters"].items() if "Default" not in parameter}
    expect(f"the console's link has every parameter without a default, and none that is unknown: {named}", needed <= named <= set(template["Parameters"]))
    shell(block("StackSets"), environment, directory)
    made = account.cloudformation.describe_stack_set(StackSetName="ami-janitor")["StackSet"]
    expect("the stack set has the template", json.loads(made["TemplateBody"]) == template and made["PermissionModel"] == "SERVICE_MANAGED")


def cdk(directory, template, modules):
    (directory / "stack.js").write_text(block("CDK", "js"), encoding="utf-8")
    use = re.search(r"`new AmiJanitor(.*)` makes the stack", section("CDK"))[1]
    app = f"const app = new (require('aws-cdk-lib').App)({{ outdir: 'out' }});\nnew (require('./stack').AmiJanitor){use};\napp.synth();\n"
    (directory / "app.js").write_text(app, encoding="utf-8")
    run("node", "app.js", cwd=directory, env={**os.environ, "NODE_PATH": str(modules)})
    made = json.loads((directory / "out" / "ami-janitor.template.json").read_text(encoding="utf-8"))
    expect("the CDK keeps every resource", len(template["Resources"]) > 40 and set(template["Resources"]) <= set(made["Resources"]))
    assets = json.loads((directory / "out" / "ami-janitor.assets.json").read_text(encoding="utf-8"))["files"]
    keys = {name for name in assets if assets[name]["source"]["packaging"] == "file" and assets[name]["source"]["path"].endswith(".zip")}
    code = {name: made["Resources"][name]["Properties"]["Code"]["S3Key"] for name in ("JanitorFunction", "ReporterFunction")}
    expect(f"the functions have the code that the CDK uploads, and not {code}", {key.removesuffix(".zip") for key in code.values()} == keys and len(keys) == 2)
    given = {"CodeBucket", "CodeKey", "ReporterCodeKey", "DigestEmail"}
    expect("the other parameters stay", set(template["Parameters"]) - given <= set(made["Parameters"]) and not given & set(made["Parameters"]))
    expect("the digest goes to the address", EMAIL in json.dumps(made["Resources"]))


PROVIDER = """
provider "aws" {
  region                      = "us-east-1"
  skip_credentials_validation = true
  skip_requesting_account_id  = true
  s3_use_path_style           = true
  endpoints {
    cloudformation = "ENDPOINT"
    s3             = "ENDPOINT"
    sts            = "ENDPOINT"
  }
}
"""


def terraform(account, directory, template):
    """Returns what was not checked, and why."""
    program = shutil.which("terraform")
    if not program:
        return "there is no terraform: NOT CHECKED"
    # Where an installation keeps providers for machines without a network. This one finds out what there is.
    folders = (Path("/opt"), Path("/usr/share/terraform"), Path("/usr/local/share/terraform"), Path.home() / ".terraform.d")
    found = [path for folder in folders for path in folder.glob("*/*/hashicorp/aws") if path.is_dir()]
    if not found:
        return "terraform has no AWS provider in its plugin folder: NOT CHECKED"
    (directory / "main.tf").write_text(block("Terraform", "hcl"), encoding="utf-8")
    (directory / "provider.tf").write_text(PROVIDER.replace("ENDPOINT", account.endpoint), encoding="utf-8")
    environment = {**os.environ, "CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1", "TF_CLI_CONFIG_FILE": os.devnull}
    say = {"cwd": directory, "env": environment}
    run(program, "init", "-input=false", f"-plugin-dir={found[0].parents[2]}", **say)
    run(program, "apply", "-input=false", "-auto-approve", **say)
    account.expect_stack(template)
    expect("the files are in the bucket", "template.json" in {item["Key"] for item in account.s3.list_objects_v2(Bucket=BUCKET)["Contents"]})
    run(program, "plan", "-input=false", "-detailed-exitcode", status=0, **say)  # There is nothing to do.
    path = directory / "ami-janitor-package" / "template.json"
    path.write_text(path.read_text(encoding="utf-8").replace("See docs/deploying.md.", "See the page."), encoding="utf-8")
    said = run(program, "plan", "-input=false", "-detailed-exitcode", "-no-color", status=2, **say)
    expect(f"another template updates the stack:\n{said}", "aws_cloudformation_stack.ami_janitor will be updated in-place" in said)
    run(program, "destroy", "-input=false", "-auto-approve", **say)
    expect("nothing is left of the stack", "ami-janitor" not in account.stacks())
    return None


class Repository(BaseHTTPRequestHandler):
    """A stub of the Serverless Application Repository. It keeps what it is sent."""

    published = []

    def do_POST(self):
        self.published.append((self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
        answer = json.dumps({"applicationId": "arn:aws:serverlessrepo:us-east-1:123456789012:applications/ami-janitor"}).encode()
        self.send_response(201)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


def repository(account, sam):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Repository)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    environment = {
        **os.environ,
        "PATH": f"{sam.parent}:{os.environ['PATH']}",
        "SAM_CLI_TELEMETRY": "0",
        "AWS_ENDPOINT_URL": account.endpoint,
        "AWS_ENDPOINT_URL_SERVERLESSAPPLICATIONREPOSITORY": f"http://127.0.0.1:{server.server_port}",
    }
    shell(block("Serverless Application Repository"), environment, None)
    server.shutdown()
    ((path, sent),) = Repository.published
    expect("sam publish makes an application", path == "/applications")
    model = boto3.client("serverlessrepo").meta.service_model.operation_model("CreateApplication").input_shape
    shapes = {member.serialization.get("name", name): name for name, member in model.members.items()}
    validate_parameters({shapes[name]: value for name, value in sent.items()}, model)
    for name in ("name", "author"):  # https://docs.aws.amazon.com/serverlessrepo/latest/devguide/applications.html
        expect(f"the service takes this {name}: {sent[name]}", re.fullmatch("[a-zA-Z0-9-]+", sent[name]))
    expect("the description has at most 256 characters", len(sent["description"]) <= 256)
    expect("it has the version", sent["semanticVersion"] == "1.2.3")
    expect(f"it has a licence, a page and a template: {sorted(sent)}", {"licenseUrl", "readmeUrl", "templateBody"} <= set(sent))


def guided(sam, directory):
    """The first questions of sam deploy --guided are those that nobody can answer but the reader."""
    answers = "ami-janitor\nus-east-1\n" + EMAIL + "\n\n\n"
    for name in ("template.yaml", "samconfig.toml"):
        shutil.copy(name, directory)
    environment = {**os.environ, "SAM_CLI_TELEMETRY": "0"}
    done = subprocess.run([sam, "deploy", "--guided"], input=answers, cwd=directory, env=environment, capture_output=True, text=True)
    asked = re.findall(r"Parameter (\w+) \[", done.stdout)
    expect(f"sam deploy --guided asks for three things first, not {asked[:3]}:\n{done.stdout}{done.stderr}", asked[:3] == ["DigestEmail", "DryRun", "Regions"])


def weekly(directory, janitor):
    """The plan of each week, as a comment."""
    programs = directory / "programs"
    programs.mkdir()
    (programs / "ami-janitor").symlink_to(janitor)
    comments = directory / "comments"
    (programs / "gh").write_text(f'#!/bin/sh\necho "$@" > {comments}.words\ncat > {comments}\n', encoding="utf-8")
    (programs / "gh").chmod(0o755)
    emulator = subprocess.Popen([janitor, "emulate"], stdout=subprocess.PIPE, text=True)
    try:
        endpoint = re.search(r"http://127\.0\.0\.1:\d+", emulator.stdout.readline())[0]
        environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "AWS_ENDPOINT_URL": endpoint, "PULL_REQUEST": "7"}
        shell(block("A plan each week"), environment, directory)
    finally:
        emulator.terminate()
        emulator.wait()
    expect("the comment goes to the pull request", Path(f"{comments}.words").read_text(encoding="utf-8") == "pr comment 7 --body-file -\n")
    said = comments.read_text(encoding="utf-8")
    expect(f"the comment is a table of what would be removed:\n{said}", "| --- |" in said and re.search(r"^\| us-east-1 \| ami-\w+ \| before-upgrade \| would remove \|", said, re.MULTILINE))


def referred(resource):
    """The names of what a resource refers to or waits for."""
    after = resource.get("DependsOn", [])
    return [name.split(".")[0] for name in template_transform.references(resource)] + ([after] if isinstance(after, str) else after)


def for_moto(template):
    """The template without what moto's CloudFormation cannot create, and without what refers to that."""
    text = json.dumps(template).replace("RetainExceptOnCreate", "Retain").replace("${AWS::Partition}", "aws")
    left = json.loads(text)
    every = set(left["Resources"])
    kept = {name for name in every if left["Resources"][name]["Type"] in BY_CLOUDFORMATION}
    while refers := [name for name in kept if (set(referred(left["Resources"][name])) & every) - kept]:
        kept.difference_update(refers)
    left["Resources"] = {name: left["Resources"][name] for name in kept}
    del left["Outputs"]
    return left


def unpacked(package, directory, template):
    """Puts the package with this template where the page has it, and its archive."""
    directory.mkdir()
    shutil.copytree(package, directory / "ami-janitor-package")
    (directory / "ami-janitor-package" / "template.json").write_text(json.dumps(template), encoding="utf-8")
    with tarfile.open(directory / "ami-janitor_v1.2.3_package.tar.gz", "w:gz", compresslevel=1) as archive:
        archive.add(directory / "ami-janitor-package", "ami-janitor-package")
    return directory


def main(*paths):
    sam, aws, modules, janitor, package = (Path(path).absolute() for path in paths)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    template = json.loads((package / "template.json").read_text(encoding="utf-8"))
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        with tempfile.TemporaryDirectory() as temporary:
            host, port = server.get_host_and_port()
            account, directory = Account(f"http://{host}:{port}"), Path(temporary)
            account.s3.create_bucket(Bucket=BUCKET)
            guided(sam, directory)
            weekly(directory, janitor)
            cdk(unpacked(package, directory / "cdk", template), template, modules)
            template = for_moto(template)
            cloudformation(account, unpacked(package, directory / "cloudformation", template), template, aws)
            account.empty()
            unchecked = terraform(account, unpacked(package, directory / "terraform", template), template)
            account.empty()
            repository(account, sam)
    finally:
        server.stop()
    print("snippets_test: the snippets of docs/deploying.md deploy by CloudFormation, StackSets and the CDK, publish, and comment")
    print(f"snippets_test: {unchecked}" if unchecked else "snippets_test: terraform applied its snippet, saw a new template, and destroyed the stack")


if __name__ == "__main__":
    main(*sys.argv[1:])
