"""The template as AWS SAM's transform leaves it, and as CloudFormation then reads it.

SAM's transform runs in CloudFormation when a stack is deployed. Here it is the same code, from AWS's own package.
"""

import copy
import itertools
import os
import re

os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")  # The transform asks which partition it is in.

from cfnlint.decode import decode
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

# Values of parameters with which each condition is what the parameters' defaults do not make it.
OTHERWISE = {
    "HasPermissionsBoundary": {"PermissionsBoundary": "arn:aws:iam::123456789012:policy/boundary"},
    "HasReservedConcurrency": {"ReservedConcurrency": "2"},
    "HasDigestEmail": {"DigestEmail": "platform@example.com"},
    "HasAlarmEmail": {"AlarmEmail": "on-call@example.com"},
    "HasSlack": {"SlackWorkspaceId": "T0123ABCDEF", "SlackChannelId": "C0123ABCDEF"},
    "IsScheduled": {"ScheduleState": "DISABLED"},
    "Announces": {"Grace": "14d"},
    "Deprecates": {"Grace": "14d", "GraceAction": "deprecate"},
    "Disables": {"Grace": "14d", "GraceAction": "disable"},
    "JudgesShared": {"SharedImages": "report"},
    "ReadsTemplates": {"CloudFormationTemplates": "true"},
    "JudgesBuilt": {"ImageBuilderImages": "judge"},
    "AsksBeanstalk": {"UsageSources": "all,elastic-beanstalk"},
    "PicksVersions": {"LaunchTemplateVersions": "3"},
    "ReadsObjects": {"TextObjects": "s3://amzn-s3-demo-bucket/prod/*.tfstate"},
    "HasRecycleBin": {"RecycleBinDays": "0"},
    "RequiresRecycleBin": {"RequireRecycleBin": "false"},
    "MakesOwnersTopic": {"MakeOwnersTopic": "true"},
    "DrawsReports": {"Report": "false"},
    "TakesOwnersTopic": {"OwnersTopicArn": "arn:aws:sns:us-east-1:111122223333:owners"},
}


def load(path):
    """Reads a template in YAML, with the short forms of the intrinsic functions written out."""
    template, problems = decode(str(path))
    if problems:
        raise SystemExit("\n".join(f"{path}: {problem.message}" for problem in problems))
    return plain(template)


def plain(node):
    """Makes plain dicts, lists and texts of a reader's nodes, which know their place in the file."""
    if isinstance(node, dict):
        return {str(key): plain(value) for key, value in node.items()}
    if isinstance(node, list):
        return [plain(item) for item in node]
    return str(node) if isinstance(node, str) else node


# The parameter with the key of each function's code.
CODE_KEYS = {"JanitorFunction": "CodeKey", "ReporterFunction": "ReporterCodeKey"}


def transformed(template, code_keys=None, version=None):
    """Transforms a template. Where its code is, parameters say; the keys of the code may have defaults, by function."""
    template = copy.deepcopy(template)
    code = {
        "CodeBucket": {
            "Type": "String",
            "Description": "The S3 bucket, in the region of the stack, that the code of the functions is in.",
            "AllowedPattern": "^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$",
        },
    }
    for function, parameter in CODE_KEYS.items():
        code[parameter] = {
            "Type": "String",
            "Description": f"The key of the code of {function} in that bucket.",
            "AllowedPattern": "^.{1,1024}$",
        }
        if code_keys:
            code[parameter]["Default"] = code_keys[function]
    if version:
        template["Description"] += f" Version {version}."
    template["Parameters"] = {**code, **template["Parameters"]}
    interface = template["Metadata"]["AWS::CloudFormation::Interface"]
    interface["ParameterGroups"].insert(0, {"Label": {"default": "Where the code is"}, "Parameters": list(code)})
    interface["ParameterLabels"].update(
        CodeBucket={"default": "Bucket"}, CodeKey={"default": "Key"}, ReporterCodeKey={"default": "Key of the reporter"}
    )
    for name, resource in template["Resources"].items():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = {"Bucket": {"Ref": "CodeBucket"}, "Key": {"Ref": CODE_KEYS[name]}}
            del resource["Metadata"]
    # It may look up no managed policy, because it has to look up none: every role is written out.
    result = Translator({}, Parser()).translate(template, parameter_values={})
    for resource in result["Resources"].values():
        if resource.get("Metadata", {}).pop("SamResourceId", None) and not resource["Metadata"]:
            del resource["Metadata"]
    return result


def combinations(template):
    """Yields values of parameters, and the values of the conditions that follow: none of these otherwise than by default,
    each one, every two of them, and all."""
    names = sorted(template["Conditions"])
    if names != sorted(OTHERWISE):
        raise SystemExit(f"the template has the conditions {names}: say in OTHERWISE how to make each of them")
    default = evaluated(template, {})
    for size in (0, 1, 2, len(names)):
        for choice in itertools.combinations(names, size):
            parameters = {}
            for name in choice:
                parameters.update(OTHERWISE[name])
            conditions = evaluated(template, parameters)
            if size == 1 and conditions[choice[0]] == default[choice[0]]:
                raise SystemExit(f"OTHERWISE leaves {choice[0]} as it is by default")
            yield parameters, conditions


def evaluated(template, parameters):
    """Returns the value of each condition."""
    values = {name: parameters.get(name, definition.get("Default")) for name, definition in template["Parameters"].items()}

    def value(node):
        if not isinstance(node, dict):
            return node
        ((function, argument),) = node.items()
        match function:
            case "Ref":
                return values[argument]
            case "Fn::Sub":
                return re.sub(r"\$\{(\w+)\}", lambda name: values[name[1]], argument)
            case "Fn::Split":
                return value(argument[1]).split(argument[0])
            case "Fn::Select":
                return value(argument[1])[int(argument[0])]
            case "Fn::Equals":
                return value(argument[0]) == value(argument[1])
            case "Fn::Not":
                return not value(argument[0])
            case "Fn::And":
                return all(value(each) for each in argument)
            case "Fn::Or":
                return any(value(each) for each in argument)
        raise SystemExit(f"{function} is not known in a condition")

    return {name: value(node) for name, node in template["Conditions"].items()}


def reduced(template, parameters, conditions):
    """The template with these values: parameters with these defaults, no Condition and no Fn::If."""
    template = copy.deepcopy(template)
    for name, value in parameters.items():
        template["Parameters"][name]["Default"] = value
    del template["Conditions"]
    for section in ("Resources", "Outputs"):
        template[section] = {
            name: member for name, member in template.get(section, {}).items() if conditions.get(member.pop("Condition", None), True)
        }
    return decided(template, conditions)


def decided(node, conditions):
    """Replaces every Fn::If by what it comes to."""
    nothing = {"Ref": "AWS::NoValue"}
    if isinstance(node, dict):
        if set(node) == {"Fn::If"}:
            condition, then, otherwise = node["Fn::If"]
            return decided(then if conditions[condition] else otherwise, conditions)
        members = {key: decided(member, conditions) for key, member in node.items()}
        return {key: member for key, member in members.items() if member != nothing}
    if isinstance(node, list):
        return [item for item in (decided(each, conditions) for each in node) if item != nothing]
    return node


def references(node):
    """Yields what a node refers to, as "Name" or "Name.Attribute"."""
    if isinstance(node, list):
        for item in node:
            yield from references(item)
    if not isinstance(node, dict):
        return
    for key, member in node.items():
        if key == "Ref":
            yield member
        elif key == "Fn::GetAtt":
            yield member if isinstance(member, str) else ".".join(member)
        elif key == "Fn::Sub":
            text, names = (member, {}) if isinstance(member, str) else member
            yield from (name for name in re.findall(r"\$\{([^!}][^}]*)\}", text) if name not in names)
            yield from references(names)
        else:
            yield from references(member)
