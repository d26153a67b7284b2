// PostHog's node SDK, asking for the flags of the people it reads from standard input.
//
//     SDKS=DIRECTORY node flags.mjs MODE ENDPOINT KEY SECRET < people.json
//
// MODE is "remote" or "local". It prints a JSON object: "flags" has {key: value} per person,
// "payloads" the same, "config" what remote config says of the flag "limits".

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(process.env.SDKS + "/");
const { PostHog } = require("posthog-node");
const [mode, host, key, secret] = process.argv.slice(2);
const local = mode === "local";
const client = new PostHog(key, {
  host,
  personalApiKey: secret,
  enableLocalEvaluation: local,
  featureFlagsPollingInterval: 60000,
});
if (local) await client.reloadFeatureFlags();

const flags = [];
const payloads = [];
for (const person of JSON.parse(readFileSync(0, "utf8"))) {
  const properties = { ...person.properties };
  if (person.device_id) properties["$device_id"] = person.device_id;
  const found = await client.getAllFlagsAndPayloads(person.distinct_id, {
    personProperties: properties,
    groups: person.groups,
    groupProperties: person.group_properties,
    onlyEvaluateLocally: local,
  });
  flags.push(found.featureFlags);
  payloads.push(found.featureFlagPayloads);
}
const config = await client.getRemoteConfigPayload("limits");
console.log(JSON.stringify({ flags, payloads, config }));
await client.shutdown();
process.exit(0);
