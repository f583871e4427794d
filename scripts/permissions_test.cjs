// Decides again what the tests of internal/template have decided on the policies of the templates, with an evaluator that is
// not ours and AWS's service authorization data: which resources and condition keys an action has.
// usage: node scripts/permissions_test.cjs CASES
// CASES is what go test ./internal/template -cases CASES writes.
"use strict";
const fs = require("node:fs");
const { createValidatedPolicy, validateIdentityPolicy, validateResourcePolicy } = require("@cloud-copilot/iam-policy");
const { runSimulation } = require("@cloud-copilot/iam-simulate");

// What the two evaluators may disagree about, and why ours stays as it is. An entry that is not met is a fault.
const differences = [
  {
    action: /^kms:(Decrypt|GenerateDataKey)$/,
    context: "kms:EncryptionContext:aws:sns:topicArn",
    ours: true,
    theirs: "ImplicitlyDenied",
    statement: "template.yaml JanitorRole EncryptForOwners",
    why: "it knows no keys that end in a key of the encryption context (AWS KMS Developer Guide, kms:EncryptionContext:context-key)",
  },
  {
    action: /^ssm:GetParameters$/,
    resource: /^arn:aws:ssm:[^:]+::parameter\/aws\/service\//,
    ours: true,
    theirs: "no.resource.types",
    why: "it knows no parameter without an account; AWS's public ones have none (AWS Systems Manager User Guide, \"Discovering public parameters\")",
  },
  {
    action: /^ec2:DeregisterImage$/,
    resource: /:snapshot\//,
    ours: false,
    theirs: "no.resource.types",
    why: "EC2 asks for an image (Service Authorization Reference, Amazon EC2, DeregisterImage)",
  },
  {
    action: /^ec2:DeleteSnapshot$/,
    resource: /:image\//,
    ours: false,
    theirs: "no.resource.types",
    why: "EC2 asks for a snapshot (Service Authorization Reference, Amazon EC2, DeleteSnapshot)",
  },
  {
    action: /^s3:GetObject$/,
    resource: /^arn:aws:s3:::-\/$/,
    ours: false,
    theirs: "no.resource.types",
    why: "an object's key is not empty (Amazon S3 User Guide, \"Naming Amazon S3 objects\")",
  },
];

const isMet = (difference, c, theirs) =>
  difference.action.test(c.action) &&
  (!difference.resource || difference.resource.test(c.resource)) &&
  (!difference.context || difference.context in c.context) &&
  difference.ours === c.allowed &&
  difference.theirs === theirs;

const faults = [];
const { policies, cases } = JSON.parse(fs.readFileSync(process.argv[2], "utf8"));

// Policies as the library takes them, checked once for IAM's grammar.
const checked = new Map();
function policyOf(c) {
  if (!checked.has(c.policy)) {
    const policy = createValidatedPolicy(policies[c.policy], c.principal ? validateResourcePolicy : validateIdentityPolicy);
    for (const { message, path } of policy.errors) faults.push(`${c.of}: ${path}: ${message}`);
    checked.set(c.policy, policy);
  }
  return checked.get(c.policy);
}

// What the library says: Allowed, ImplicitlyDenied, ExplicitlyDenied, or why there is no such request. matched is called with
// the Sids of the statements that the request meets.
async function decide(c, matched) {
  const policy = policyOf(c);
  const ran = await runSimulation(
    {
      request: {
        principal: c.principal ?? "arn:aws:iam::123456789012:role/Anybody",
        action: c.action,
        resource: { resource: c.resource, accountId: c.resource.split(":")[4] || "123456789012" },
        contextVariables: c.context,
      },
      identityPolicies: c.principal ? [] : [{ name: c.of, policy }],
      resourcePolicy: c.principal ? policy : undefined,
      serviceControlPolicies: [],
      resourceControlPolicies: [],
    },
    {},
  );
  if (ran.resultType === "error") return ran.errors.message;
  // An action on * that may name resources, too, is decided for each kind of them; without any, nothing allows it.
  const results = ran.resultType === "single" ? [ran.result] : ran.results;
  const said = new Set();
  for (const { analysis } of results) {
    const { result, allowStatements, denyStatements } = c.principal ? analysis.resourceAnalysis : analysis.identityAnalysis;
    for (const { statement } of [...allowStatements, ...denyStatements]) matched(statement.sid());
    said.add(result === "AllowedForAccount" ? "Allowed" : result); // The rest is for the account's own policies.
  }
  return said.size === 0 ? "ImplicitlyDenied" : [...said].sort().reverse()[0];
}

async function main() {
  const counts = new Map(); // By template: how many cases both allow, and both deny.
  const statements = new Map(); // By resource and Sid: whether a case has met the statement.
  const met = new Map(differences.map((difference) => [difference, 0]));
  for (const c of cases) {
    const named = (sid) => `${c.of} ${sid}`;
    for (const { Sid } of policies[c.policy].Statement) if (Sid && !statements.has(named(Sid))) statements.set(named(Sid), false);
    const theirs = await decide(c, (sid) => sid && statements.set(named(sid), true));
    const difference = differences.find((each) => isMet(each, c, theirs));
    const isRequest = /^(Allowed|ImplicitlyDenied|ExplicitlyDenied)$/.test(theirs);
    if (difference) {
      met.set(difference, met.get(difference) + 1);
      if (difference.statement) statements.set(difference.statement, true);
    } else if (!isRequest || (theirs === "Allowed") !== c.allowed) {
      faults.push(`${c.of}: ${c.allowed ? "allowed" : "denied"} here, ${theirs} there: ${c.action} on ${c.resource} ${c.principal ?? ""} ${JSON.stringify(c.context)}`);
    } else {
      const template = c.of.split(" ")[0];
      if (!counts.has(template)) counts.set(template, { allowed: 0, denied: 0 });
      counts.get(template)[c.allowed ? "allowed" : "denied"]++;
    }
  }
  for (const [name, isThere] of statements) if (!isThere) faults.push(`${name}: no case meets the statement`);
  for (const [difference, n] of met) {
    if (n === 0) faults.push(`no case meets the known difference: ${difference.action} ${difference.why}`);
    else console.log(`permissions: ${n} cases differ: ${difference.why}`);
  }
  for (const template of ["template.yaml", "organization.yaml", "member.yaml", "docs/trial.md"]) {
    const { allowed, denied } = counts.get(template) ?? { allowed: 0, denied: 0 };
    if (allowed === 0 || denied === 0) faults.push(`${template}: nothing is allowed, or nothing is denied`);
  }
  for (const [template, { allowed, denied }] of counts) console.log(`permissions: ${template}: both allow ${allowed}, both deny ${denied}`);
}

main()
  .catch((error) => faults.push(error.stack))
  .then(() => {
    for (const fault of faults.slice(0, 100)) console.error(`permissions: ${fault}`);
    console.log(`permissions: ${cases.length} decisions on ${policies.length} policies, ${faults.length} faults`);
    process.exit(faults.length === 0 ? 0 : 1);
  });
