"""A template as AWS SAM's transform leaves it, and as CloudFormation then reads it.

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
    "DeletesBundles": {"Bundles": "delete", "BundleBuckets": "amzn-s3-demo-bucket"},
    "RemovesOrphans": {"OrphanedSnapshots": "remove", "CloudFormationTemplates": "true"},
    "JudgesBuilt": {"ImageBuilderImages": "judge"},
    "AsksBeanstalk": {"UsageSources": "all,elastic-beanstalk"},
    "PicksVersions": {"LaunchTemplateVersions": "3"},
    "ReadsObjects": {"TextObjects": "s3://amzn-s3-demo-bucket/prod/*.tfstate"},
    "HasRecycleBin": {"RecycleBinDays": "0"},
    "RequiresRecycleBin": {"RequireRecycleBin": "false"},
    "MakesOwnersTopic": {"MakeOwnersTopic": "true"},
    "DrawsReports": {"Report": "false"},
    "TakesOwnersTopic": {"OwnersTopicArn": "arn:aws:sns:us-east-1:111122223333:owners"},
    "MaySweep": {"Sweep": "true"},
    "SweepsAndJudgesShared": {"Sweep": "true", "SharedImages": "report"},
    "HasUndo": {"UndoPrincipal": "arn:aws:iam::111122223333:role/operators/on-call"},
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


# The parameters with the keys of code: that of most functions, those of the others, and that of a state machine's definition.
CODE_KEY = "CodeKey"
OTHER_CODE_KEYS = {"ReporterFunction": "ReporterCodeKey"}
DEFINITION_KEY = "DefinitionKey"
KEY_LABELS = {CODE_KEY: "Key", "ReporterCodeKey": "Key of the reporter", DEFINITION_KEY: "Key of the definition"}


def of_type(template, kind):
    """The resources of a type, by name."""
    return {name: resource for name, resource in template["Resources"].items() if resource["Type"] == kind}


def code_parameters(template):
    """The parameter with the key of the code of each function, and of the definition of each state machine."""
    keys = {name: OTHER_CODE_KEYS.get(name, CODE_KEY) for name in of_type(template, "AWS::Serverless::Function")}
    return {**keys, **dict.fromkeys(of_type(template, "AWS::Serverless::StateMachine"), DEFINITION_KEY)}


def transformed(template, code_keys=None, version=None):
    """Transforms a template. Where its code is, parameters say; the keys of the code may have defaults, by function."""
    template = copy.deepcopy(template)
    parameters = code_parameters(template)
    code = {
        "CodeBucket": {
            "Type": "String",
            "Description": "The S3 bucket, in the region of the stack, that the code of the functions is in.",
            "AllowedPattern": "^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$",
        },
    }
    for name, parameter in parameters.items():
        functions = [function for function, key in parameters.items() if key == parameter]
        whose = name if len(functions) == 1 else f"{len(functions)} functions"
        code[parameter] = {
            "Type": "String",
            "Description": f"The key of the {'definition' if parameter == DEFINITION_KEY else 'code'} of {whose} in that bucket.",
            "AllowedPattern": "^.{1,1024}$",
        }
        if code_keys:
            code[parameter]["Default"] = code_keys[name]
    if version:
        template["Description"] += f" Version {version}."
    template["Parameters"] = {**code, **template["Parameters"]}
    interface = template["Metadata"]["AWS::CloudFormation::Interface"]
    interface["ParameterGroups"].insert(0, {"Label": {"default": "Where the code is"}, "Parameters": list(code)})
    interface["ParameterLabels"].update(CodeBucket={"default": "Bucket"}, **{p: {"default": KEY_LABELS[p]} for p in parameters.values()})
    for resource in of_type(template, "AWS::Serverless::Function").values():
        del resource["Metadata"]["BuildMethod"]
    for name, parameter in parameters.items():
        properties = template["Resources"][name]["Properties"]
        place = "DefinitionUri" if parameter == DEFINITION_KEY else "CodeUri"
        properties[place] = {"Bucket": {"Ref": "CodeBucket"}, "Key": {"Ref": parameter}}
    # It may look up no managed policy, because it has to look up none: every role is written out.
    result = Translator({}, Parser()).translate(template, parameter_values={})
    for resource in result["Resources"].values():
        if resource.get("Metadata", {}).pop("SamResourceId", None) and not resource["Metadata"]:
            del resource["Metadata"]
    return result


def conditions_of(template):
    """The conditions that decide what becomes of each resource or output, and of what it refers to."""
    def named(node):
        if isinstance(node, dict):
            yield from [node["Fn::If"][0]] if "Fn::If" in node else []
            yield from [node["Condition"]] if isinstance(node.get("Condition"), str) else []
            for member in node.values():
                yield from named(member)
        if isinstance(node, list):
            for item in node:
                yield from named(item)

    of_resource = {name: set(named(resource)) for name, resource in template["Resources"].items()}
    for member in (*template["Resources"].values(), *template.get("Outputs", {}).values()):
        yield set(named(member)).union(*(of_resource.get(name.split(".")[0], ()) for name in references(member)))


def combinations(template):
    """Yields values of parameters, and the values of the conditions that follow: none of these otherwise than by default,
    each one, every two of them on which one resource depends, and all."""
    names = sorted(template["Conditions"])
    if unknown := [name for name in names if name not in OTHERWISE]:
        raise SystemExit(f"the template has the conditions {unknown}: say in OTHERWISE how to make each of them")
    default = evaluated(template, {})
    together = list(conditions_of(template))
    for size in (0, 1, 2, len(names)):
        for choice in itertools.combinations(names, size):
            if size == 2 and not any(set(choice) <= some for some in together):
                continue
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
            case "Condition":
                return value(template["Conditions"][argument])
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
