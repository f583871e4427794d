"""Deploys the transform of template.yaml to a moto server on this machine, looks at what is there, and takes it down. Then
deploys member.yaml.

moto's CloudFormation creates the types in BY_CLOUDFORMATION. The other resources are created by the calls that
CloudFormation would make, from their resolved properties, so that the types of their parameters and what they refer to
are checked by the services' own models. What moto has no such service for is in NOT_AT_ALL.

Usage: template_deploy.py template.yaml
"""

import functools
import io
import json
import logging
import os
import sys
import warnings
import zipfile
from pathlib import Path

os.environ.update(
    AWS_ACCESS_KEY_ID="test",
    AWS_SECRET_ACCESS_KEY="test",
    MOTO_IAM_LOAD_MANAGED_POLICIES="true",  # So that a policy of AWS's that does not exist is missed.
)

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.validate import validate_parameters
from moto.core import DEFAULT_ACCOUNT_ID
from moto.server import ThreadedMotoServer

import template_transform

BY_CLOUDFORMATION = {
    "AWS::IAM::ManagedPolicy",
    "AWS::IAM::Policy",
    "AWS::IAM::Role",
    "AWS::KMS::Key",
    "AWS::Lambda::Function",
    "AWS::Logs::LogGroup",
    "AWS::S3::Bucket",
    "AWS::SNS::Topic",
    "AWS::SQS::Queue",
}
NOT_AT_ALL = {"AWS::Chatbot::SlackChannelConfiguration"}

STACK, BUCKET, KEY = "ami-janitor", "code", "code.zip"

# A deployment in each partition, with no condition otherwise than by default, and one with all of them.
DEPLOYMENTS = [("us-east-1", True), ("us-east-1", False), ("us-gov-west-1", False), ("cn-north-1", False)]


class Account:
    """The services of one region of moto's account."""

    def __init__(self, endpoint, region):
        self.endpoint, self.region = endpoint, region
        self.partition = boto3.Session().get_partition_for_region(region)

    def __getattr__(self, name):
        service = {"function": "lambda"}.get(name, name)
        client = boto3.client(service, self.region, endpoint_url=self.endpoint, config=Config(retries={"max_attempts": 0}))
        setattr(self, name, client)
        return client


class Resolver:
    """Evaluates intrinsic functions, of the values of references: "Name" and "Name.Attribute"."""

    def __init__(self, values, mappings):
        self.values, self.mappings = values, mappings

    def __call__(self, node):
        if isinstance(node, list):
            return [self(item) for item in node]
        if not isinstance(node, dict):
            return node
        if "Ref" in node:
            return self.values[node["Ref"]]
        if "Fn::GetAtt" in node:
            return self.values[".".join(node["Fn::GetAtt"])]
        if "Fn::FindInMap" in node:
            name, *keys = self(node["Fn::FindInMap"])
            return self.mappings[name][keys[0]][keys[1]]
        if "Fn::Sub" in node:
            text, names = (node["Fn::Sub"], {}) if isinstance(node["Fn::Sub"], str) else node["Fn::Sub"]
            values = {name: self(value) for name, value in names.items()}
            for name in template_transform.references({"Fn::Sub": text}):
                text = text.replace("${%s}" % name, str(values.get(name, self.values.get(name))))
            return text
        if any(key.startswith("Fn::") for key in node):
            raise SystemExit(f"template_deploy: {list(node)} is not known")
        return {key: self(value) for key, value in node.items()}


# How CloudFormation creates what moto's does not. Each returns what the reference "Name" stands for, further values of
# attributes, and how it is taken down.


def alarm(aws, name, p):
    aws.cloudwatch.put_metric_alarm(AlarmName=name, **{key: number(value) for key, value in p.items()})
    (made,) = aws.cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    return name, {"Arn": made["AlarmArn"]}, lambda: aws.cloudwatch.delete_alarms(AlarmNames=[name])


def dashboard(aws, name, p):
    json.loads(p["DashboardBody"])
    name = p.get("DashboardName", name)
    aws.cloudwatch.put_dashboard(**{**p, "DashboardName": name})
    return name, {}, lambda: aws.cloudwatch.delete_dashboards(DashboardNames=[name])


def subscription(aws, _, p):
    made = aws.sns.subscribe(ReturnSubscriptionArn=True, **p)["SubscriptionArn"]
    return made, {}, lambda: aws.sns.unsubscribe(SubscriptionArn=made)


def topic_policy(aws, name, p):
    for topic in p["Topics"]:
        policy = json.dumps(p["PolicyDocument"])
        aws.sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=policy)
    return name, {}, None


def queue_policy(aws, name, p):
    for queue in p["Queues"]:
        aws.sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": json.dumps(p["PolicyDocument"])})
    return name, {}, None


def bucket_policy(aws, name, p):
    aws.s3.put_bucket_policy(Bucket=p["Bucket"], Policy=json.dumps(p["PolicyDocument"]))
    return name, {}, None


def recycle_bin_rule(aws, name, p):
    """moto has no Recycle Bin; the service's own model says whether it would take the rule."""
    p["RetentionPeriod"]["RetentionPeriodValue"] = number(p["RetentionPeriod"]["RetentionPeriodValue"])
    shape = aws.rbin.meta.service_model.operation_model("CreateRule").input_shape
    validate_parameters(p, shape)
    expect(f"{name} is for a type that there is", p["ResourceType"] in shape.members["ResourceType"].enum)
    return name, {}, None


def event_invoke_config(aws, name, p):
    aws.function.put_function_event_invoke_config(**p)
    return name, {}, None


def rule(aws, name, p):
    targets = p.pop("Targets")
    arn = aws.events.put_rule(Name=name, **{**p, "EventPattern": json.dumps(p["EventPattern"])})["RuleArn"]
    aws.events.put_targets(Rule=name, Targets=targets)

    def down():
        aws.events.remove_targets(Rule=name, Ids=[target["Id"] for target in targets])
        aws.events.delete_rule(Name=name)

    return name, {"Arn": arn}, down


def permission(aws, name, p):
    aws.function.add_permission(StatementId=name, **p)
    return name, {}, None


def schedule(aws, name, p):
    p["FlexibleTimeWindow"]["MaximumWindowInMinutes"] = number(p["FlexibleTimeWindow"]["MaximumWindowInMinutes"])
    aws.scheduler.create_schedule(Name=name, **p)
    return name, {}, lambda: aws.scheduler.delete_schedule(Name=name)


BY_HAND = {
    "AWS::CloudWatch::Alarm": alarm,
    "AWS::CloudWatch::Dashboard": dashboard,
    "AWS::Events::Rule": rule,
    "AWS::Lambda::EventInvokeConfig": event_invoke_config,
    "AWS::Lambda::Permission": permission,
    "AWS::Rbin::Rule": recycle_bin_rule,
    "AWS::S3::BucketPolicy": bucket_policy,
    "AWS::SNS::Subscription": subscription,
    "AWS::SNS::TopicPolicy": topic_policy,
    "AWS::SQS::QueuePolicy": queue_policy,
    "AWS::Scheduler::Schedule": schedule,
}


def number(value):
    """CloudFormation makes numbers of texts where the service wants them."""
    return int(value) if isinstance(value, str) and value.isdigit() else value


def deploy(aws, template, parameters):
    """Deploys a template. Returns its outputs, the values of all references, and what takes it down."""
    conditions = template_transform.evaluated(template, parameters)
    template = template_transform.reduced(template, parameters, conditions)
    resources = template["Resources"]
    unknown = {r["Type"] for r in resources.values()} - BY_CLOUDFORMATION - set(BY_HAND) - NOT_AT_ALL
    if unknown:
        raise SystemExit(f"template_deploy: say how to deploy {', '.join(sorted(unknown))}")
    first = {name: r for name, r in resources.items() if r["Type"] in BY_CLOUDFORMATION}
    rest = {name: r for name, r in resources.items() if r["Type"] in BY_HAND}
    wanted = {*first, *template_transform.references([rest, template["Outputs"]])}
    values = create_stack(aws, template, first, wanted)

    resolve = Resolver(values, template["Mappings"])
    undo = [lambda: aws.cloudformation.delete_stack(StackName=STACK)]
    for name, resource in first.items():  # moto's CloudFormation overlooks these.
        for policy in resolve(resource["Properties"].get("ManagedPolicyArns", [])):
            attachment = {"RoleName": values[name], "PolicyArn": policy}
            aws.iam.attach_role_policy(**attachment)
            undo.append(functools.partial(aws.iam.detach_role_policy, **attachment))
        if resource["Type"] == "AWS::IAM::ManagedPolicy":  # CloudFormation detaches it, and moto does not.
            for role in resolve(resource["Properties"]["Roles"]):
                undo.append(functools.partial(aws.iam.detach_role_policy, RoleName=role, PolicyArn=values[name]))
        if resource["Type"] == "AWS::S3::Bucket":
            complete_bucket(aws, values[name], resolve(resource["Properties"]))
    while rest:
        ready = [name for name, r in rest.items() if set(template_transform.references(r)) <= set(values)]
        if not ready:
            raise SystemExit(f"template_deploy: {', '.join(rest)} refer to what is not deployed")
        for name in ready:
            create = BY_HAND[rest[name]["Type"]]
            values[name], attributes, down = create(aws, f"{STACK}-{name}", resolve(rest.pop(name)["Properties"]))
            values.update({f"{name}.{attribute}": value for attribute, value in attributes.items()})
            undo += [down] if down else []
    outputs = {name: resolve(output["Value"]) for name, output in template["Outputs"].items()}
    return outputs, values, undo


def complete_bucket(aws, bucket, p):
    """Gives a bucket what moto's CloudFormation overlooks, all but its encryption."""
    aws.s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=p["PublicAccessBlockConfiguration"])
    aws.s3.put_bucket_ownership_controls(Bucket=bucket, OwnershipControls=p["OwnershipControls"])
    aws.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration=p["VersioningConfiguration"])
    events = p.get("NotificationConfiguration", {}).get("EventBridgeConfiguration", {})
    if events.get("EventBridgeEnabled"):
        aws.s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={"EventBridgeConfiguration": {}})
    rules = []
    for rule in p["LifecycleConfiguration"]["Rules"]:
        rule = {"ID": rule.pop("Id"), "Filter": {"Prefix": rule.pop("Prefix", "")}, **rule}
        if "ExpirationInDays" in rule:
            rule["Expiration"] = {"Days": number(rule.pop("ExpirationInDays"))}
        if "ExpiredObjectDeleteMarker" in rule:
            rule["Expiration"] = {"ExpiredObjectDeleteMarker": rule.pop("ExpiredObjectDeleteMarker")}
        rules.append(rule)
    aws.s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": rules})


def create_stack(aws, template, resources, wanted):
    """Deploys some resources with moto's CloudFormation, and returns the values of references to them."""
    stack = {"Parameters": template["Parameters"], "Mappings": template["Mappings"], "Resources": resources, "Outputs": {}}
    named = {f"Value{i}": name for i, name in enumerate(sorted(wanted)) if name.split(".")[0] in {**resources, **PSEUDO}}
    for output, name in named.items():
        value = {"Fn::GetAtt": name.split(".")} if "." in name else {"Ref": name}
        stack["Outputs"][output] = {"Value": value}
    # To moto's CloudFormation every region is of the same partition, and what is retained is so from the beginning.
    body = json.dumps(stack).replace("${AWS::Partition}", aws.partition).replace("RetainExceptOnCreate", "Retain")
    chosen = {"CodeBucket": BUCKET, **dict.fromkeys(template_transform.KEY_LABELS.keys() & template["Parameters"].keys(), KEY)}
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # How moto says that it leaves something out.
        aws.cloudformation.create_stack(
            StackName=STACK,
            TemplateBody=body,
            Capabilities=["CAPABILITY_IAM"],
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in chosen.items()],
        )
    (made,) = aws.cloudformation.describe_stacks(StackName=STACK)["Stacks"]
    there = {r["LogicalResourceId"] for r in aws.cloudformation.describe_stack_resources(StackName=STACK)["StackResources"]}
    expect("the stack is created", made["StackStatus"] == "CREATE_COMPLETE")
    expect("moto has created every resource", there == set(resources))
    values = {name: definition.get("Default") for name, definition in template["Parameters"].items()}
    values.update({named[output["OutputKey"]]: output["OutputValue"] for output in made["Outputs"]})
    values["AWS::Partition"] = aws.partition
    return values


PSEUDO = dict.fromkeys(["AWS::AccountId", "AWS::Partition", "AWS::Region", "AWS::StackName", "AWS::URLSuffix"])


def expect(what, true):
    if not true:
        raise SystemExit(f"template_deploy: not so: {what}")


def inspect(aws, parameters, outputs, values):
    """Looks at what a person, or AWS, would find in the account."""
    every = bool(parameters)
    topics = {topic["TopicArn"] for topic in aws.sns.list_topics()["Topics"]}
    wanted = {outputs["DigestTopic"], outputs["ChatTopic"], outputs["AlarmTopic"]}
    if parameters.get("MakeOwnersTopic") == "true":
        wanted.add(outputs["OwnersTopic"])
    expect(f"there are {len(wanted)} topics", topics == wanted)
    key = values["TopicKey"]
    for topic in topics:
        attributes = aws.sns.get_topic_attributes(TopicArn=topic)["Attributes"]
        expect("every topic is encrypted with the key", attributes["KmsMasterKeyId"] == key)
        expect("every topic refuses what is not TLS", "aws:SecureTransport" in attributes["Policy"])
        mails = [s["Endpoint"] for s in aws.sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]]
        parameter = {outputs["DigestTopic"]: "DigestEmail", outputs["AlarmTopic"]: "AlarmEmail"}.get(topic)
        wanted = [parameters[parameter]] if parameter in parameters else []
        expect("the topics have the subscribers that were given", mails == wanted)
    policy = aws.kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"]
    policy = json.loads(policy) if isinstance(policy, str) else policy  # moto's CloudFormation leaves it as it is.
    publishers = [s["Principal"] for s in policy["Statement"] if "kms:GenerateDataKey" in s["Action"]]
    expect(
        "the key serves the function and CloudWatch, and nobody else",
        publishers == [{"AWS": outputs["FunctionRole"]}, {"Service": "cloudwatch.amazonaws.com"}],
    )

    roles = aws.iam.list_roles()["Roles"]
    expect("there is a role for each who acts", len(roles) == 3)  # The third is Slack's, or the reporter's.
    for role in (aws.iam.get_role(RoleName=role["RoleName"])["Role"] for role in roles):
        expect("every role has the path", role["Path"] == parameters.get("RolePath", "/"))
        boundary = role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")
        expect("every role has the boundary", boundary == parameters.get("PermissionsBoundary"))
        expect("every role is of the partition", role["Arn"].startswith(f"arn:{aws.partition}:iam::{DEFAULT_ACCOUNT_ID}:role/"))
    role = outputs["FunctionRole"].rsplit("/", 1)[-1]
    attached = [p["PolicyArn"] for p in aws.iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]]
    managed = f"arn:{aws.partition}:iam::aws:policy/AmazonEC2ImageReferencesAccessPolicy"
    expect("the function has AWS's policy for DescribeImageReferences", managed in attached)
    optional, readable = [arn for arn in attached if arn != managed], {}
    for arn in optional:
        version = aws.iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        document = aws.iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]
        readable.update({statement["Sid"]: statement["Resource"] for statement in document["Statement"]})
    sids = ["DecryptObjects", "GetTemplates", "ListObjects", "ListRecipes", "ReadBeanstalk", "ReadObjects"]
    orphans = ["AnnounceSnapshots", "ListOrphans", "NoteOrphans", "TakeBackOfSnapshots"]
    bundles = ["HideBundles", "LookAtBucketsOfBundles", "ReadBundles"]
    expect("further policies of the stack let it do what settings ask for, and nothing else", sorted(readable) == sorted(sids + orphans + bundles) * every)
    expect("each is of one setting", len(optional) == 6 * every)
    if every:
        bucket, rest = f"arn:{aws.partition}:s3:::amzn-s3-demo-bucket", f"arn:{aws.partition}:s3:::-"
        expect("it lists the bucket", readable["ListObjects"] == [bucket] + [rest] * 7)
        expect("it reads what is named there", readable["ReadObjects"] == [f"{bucket}/prod/*.tfstate*"] + [f"{rest}/*"] * 7)
        expect("it notes orphans under their prefix", readable["NoteOrphans"].endswith("/orphans/*"))
        expect("it hides manifests and parts, and nothing else",
               all(resource.endswith(("/*.manifest.xml", "/*.part.*")) for resource in readable["HideBundles"]))
        expect("it reads the templates of the account's stacks", readable["GetTemplates"].endswith(f":{DEFAULT_ACCOUNT_ID}:stack/*"))
    inline = aws.iam.list_role_policies(RoleName=role)["PolicyNames"]
    own = ["announce", "hand-over-failed-runs", "keep-records", "look", "never", "publish", "publish-elsewhere", "remove", "report-usage", "write-log"]
    expect("the function has its own policies", sorted(inline) == [name for name in own if every or name not in ("publish-elsewhere", "report-usage")])

    function = aws.function.get_function(FunctionName=outputs["Function"])["Configuration"]
    variables = function["Environment"]["Variables"]
    expect("the function begins with dry runs", variables["DRY_RUN"] == "true")
    expect("the function publishes to the topics", {variables["TOPIC_ARN"], variables["CHAT_TOPIC_ARN"]} <= topics)
    reserved = aws.function.get_function_concurrency(FunctionName=outputs["Function"]).get("ReservedConcurrentExecutions")
    expect("concurrency is reserved only if asked for", str(reserved or "") == parameters.get("ReservedConcurrency", ""))
    invoke = aws.function.get_function_event_invoke_config(FunctionName=outputs["Function"])
    expect("a failed run is not tried again", invoke["MaximumRetryAttempts"] == 0)
    queues = {}
    for url in aws.sqs.list_queues()["QueueUrls"]:
        attributes = aws.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        expect("every queue is encrypted", attributes["SqsManagedSseEnabled"] == "true")
        expect("every queue refuses what is not TLS", "aws:SecureTransport" in attributes["Policy"])
        queues[url.rsplit("/", 1)[-1]] = attributes["QueueArn"]
    failed = queues[outputs["FailedRuns"].rsplit("/", 1)[-1]]
    expect("a failed run is handed over", invoke["DestinationConfig"]["OnFailure"]["Destination"] == failed)

    (listed,) = aws.scheduler.list_schedules()["Schedules"]
    made = aws.scheduler.get_schedule(Name=listed["Name"])
    expect("the schedule is as told", made["State"] == parameters.get("ScheduleState", "ENABLED"))
    expect("the schedule starts the function", made["Target"]["Arn"] == function["FunctionArn"])
    expect("the schedule has a role", made["Target"]["RoleArn"] in {role["Arn"] for role in roles})
    undelivered = queues[outputs["UndeliveredEvents"].rsplit("/", 1)[-1]]
    expect("what it cannot deliver is kept", made["Target"]["DeadLetterConfig"]["Arn"] == undelivered)

    alarms = aws.cloudwatch.describe_alarms()["MetricAlarms"]
    expect("there are eight alarms", len(alarms) == 8)
    expect("every alarm is told of", all(alarm["AlarmActions"] == [outputs["AlarmTopic"]] for alarm in alarms))
    quiet = [alarm["AlarmName"] for alarm in alarms if not alarm["ActionsEnabled"]]
    expect("no missing run is told of while the schedule is off", quiet == [f"{STACK}-RunsMissing"] * every)
    bucket = outputs["Records"].removeprefix("s3://")
    inspect_reporter(aws, bucket, undelivered, parameters.get("Report", "true") == "true")
    inspect_records(aws, bucket)
    expect("the function keeps its records there", variables["RECORDS"] == outputs["Records"])
    for group in aws.logs.describe_log_groups()["logGroups"]:
        expect("no log is kept for ever", group["retentionInDays"] == 90)
    for name in {"DashboardLink", "RunNow", "FollowLog", "Reports"} & set(outputs):
        expect(f"the output {name} has no gap", "$" not in outputs[name] and "None" not in outputs[name])


def inspect_reporter(aws, bucket, undelivered, draws):
    """Looks at what leads from a record to its page."""
    rules = aws.events.list_rules()["Rules"]
    functions = aws.function.list_functions()["Functions"]
    expect("who draws pages is there if asked for", len(rules) == draws and len(functions) == 1 + draws)
    if not draws:
        return
    (target,) = aws.events.list_targets_by_rule(Rule=rules[0]["Name"])["Targets"]
    expect("the rule is for the bucket", json.loads(rules[0]["EventPattern"])["detail"]["bucket"]["name"] == [bucket])
    expect("what the rule cannot deliver is kept", target["DeadLetterConfig"]["Arn"] == undelivered)
    (statement,) = json.loads(aws.function.get_policy(FunctionName=target["Arn"])["Policy"])["Statement"]
    expect("the rule may start the function", statement["Condition"]["ArnLike"]["AWS:SourceArn"] == rules[0]["Arn"])
    reporter = aws.function.get_function(FunctionName=target["Arn"])["Configuration"]
    expect("the reporter reads the records of the stack", reporter["Environment"]["Variables"]["RECORDS"] == f"s3://{bucket}")


def inspect_records(aws, bucket):
    """Looks at the bucket of the records, and puts a record into it."""
    (rule,) = aws.s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    expect("the records are encrypted", rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"})
    blocked = aws.s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    expect("the records are not public", len(blocked) == 4 and all(blocked.values()))
    expect("the records take only TLS", "aws:SecureTransport" in aws.s3.get_bucket_policy(Bucket=bucket)["Policy"])
    days = [r["Expiration"].get("Days") for r in aws.s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]]
    expect("the records expire", days == [400, None])
    # What the lock rests on: an object can be made once. The server speaks plain HTTP, so the policy has to go first.
    lock = {"Bucket": bucket, "Key": "locks/us-east-1.json", "IfNoneMatch": "*", "Body": b"{}"}
    expect("what is not TLS is refused", refusal(aws.s3.put_object, **lock) == "403")
    aws.s3.delete_bucket_policy(Bucket=bucket)
    aws.s3.put_object(**lock)
    expect("a lock is taken once", refusal(aws.s3.put_object, **lock) == "PreconditionFailed")


def refusal(call, **parameters):
    """Returns the code with which a call is refused."""
    try:
        call(**parameters)
    except ClientError as error:
        return error.response["Error"]["Code"]
    return None


def remove_records(aws, bucket):
    """Removes the bucket of the records, which has to be there after its stack is gone."""
    expect("the records outlive the stack", "Contents" in aws.s3.list_objects_v2(Bucket=bucket))
    versions = aws.s3.list_object_versions(Bucket=bucket)
    for version in versions.get("Versions", []) + versions.get("DeleteMarkers", []):
        aws.s3.delete_object(Bucket=bucket, Key=version["Key"], VersionId=version["VersionId"])
    aws.s3.delete_bucket(Bucket=bucket)


def leftovers(aws):
    """Lists what is in the account."""
    listings = {
        "topic": aws.sns.list_topics()["Topics"],
        "subscription": aws.sns.list_subscriptions()["Subscriptions"],
        "queue": aws.sqs.list_queues().get("QueueUrls", []),
        "role": aws.iam.list_roles()["Roles"],
        "function": aws.function.list_functions()["Functions"],
        "rule": aws.events.list_rules()["Rules"],
        "schedule": aws.scheduler.list_schedules()["Schedules"],
        "alarm": aws.cloudwatch.describe_alarms()["MetricAlarms"],
        "dashboard": aws.cloudwatch.list_dashboards()["DashboardEntries"],
        "bucket": aws.s3.list_buckets()["Buckets"],
        "log group": aws.logs.describe_log_groups()["logGroups"],
        "key": [key for key in aws.kms.list_keys()["Keys"] if not deleted(aws, key["KeyId"])],
    }
    return {kind: there for kind, there in listings.items() if there}


def deleted(aws, key):
    return aws.kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "PendingDeletion"


def upload_code(aws):
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as file:
        file.writestr("bootstrap", "")
    location = {} if aws.region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": aws.region}}
    aws.s3.create_bucket(Bucket=BUCKET, **location)
    aws.s3.put_object(Bucket=BUCKET, Key=KEY, Body=body.getvalue())


def remove_code(aws):
    aws.s3.delete_object(Bucket=BUCKET, Key=KEY)
    aws.s3.delete_bucket(Bucket=BUCKET)


MEMBER = {
    "HubAccount": "111122223333",
    "OrganizationId": "o-a1b2c3d4e5",
    "ExternalId": "o-a1b2c3d4e5-default",
    "Sweep": "true",
    "SharedImages": "organization",
    "UndoPrincipal": "arn:aws:iam::444455556666:role/operators/on-call",
}


def deploy_member(endpoint, path):
    """Deploys member.yaml, and sees that a second region of the account refuses it."""
    template = template_transform.load(path)
    template = template_transform.reduced(template, MEMBER, template_transform.evaluated(template, MEMBER))
    here, there = Account(endpoint, "us-east-1"), Account(endpoint, "eu-west-1")
    for role in template_transform.of_type(template, "AWS::IAM::Role").values():
        role["Properties"].pop("ManagedPolicyArns", None)  # moto's CloudFormation fails on them.
    body = json.dumps(template).replace("${AWS::Partition}", here.partition)
    stack = {"StackName": "ami-janitor-member", "TemplateBody": body, "Capabilities": ["CAPABILITY_NAMED_IAM"]}
    here.cloudformation.create_stack(**stack)
    outputs = here.cloudformation.describe_stacks(StackName=stack["StackName"])["Stacks"][0]["Outputs"]
    wanted = {f"arn:aws:iam::{DEFAULT_ACCOUNT_ID}:role/ami-janitor/ami-janitor-default-{role}" for role in ("read", "sweep", "undo")}
    expect("a member has the roles that the hub assumes", {output["OutputValue"] for output in outputs} == wanted)
    try:
        there.cloudformation.create_stack(**stack)
    except ClientError as error:
        expect(f"a second region refuses a member: {error}", error.response["Error"]["Code"] == "EntityAlreadyExists")
    else:
        raise SystemExit("template_deploy: a member is deployed twice")
    print("template_deploy: deployed member.yaml; a second region refuses it")


def main(path):
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    template = template_transform.transformed(template_transform.load(path))
    every = {"RolePath": "/janitor/"}
    for parameters in template_transform.OTHERWISE.values():
        every.update({name: value for name, value in parameters.items() if name in template["Parameters"]})
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        for region, all_of_them in DEPLOYMENTS:
            aws = Account(f"http://{host}:{port}", region)
            upload_code(aws)
            parameters = every if all_of_them else {}
            outputs, values, undo = deploy(aws, template, parameters)
            inspect(aws, parameters, outputs, values)
            for step in reversed(undo):
                step()
            remove_code(aws)
            remove_records(aws, outputs["Records"].removeprefix("s3://"))
            left = leftovers(aws)
            expect(f"nothing is left behind, but there is {left}", not left)
            said = "every condition otherwise" if all_of_them else "the defaults"
            print(f"template_deploy: deployed in {region} with {said}, inspected, and taken down")
        deploy_member(f"http://{host}:{port}", Path(path).with_name("member.yaml"))
    finally:
        server.stop()
    print(f"template_deploy: moto has no {', '.join(sorted(NOT_AT_ALL))}, and no Recycle Bin: its rules were checked by its model alone")


if __name__ == "__main__":
    main(*sys.argv[1:])
