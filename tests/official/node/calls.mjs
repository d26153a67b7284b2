// An official node SDK, making the calls it reads from standard input.
//
//     SDKS=DIRECTORY node calls.mjs SDK ENDPOINT KEY '{"option": ...}' < calls.json
//
// DIRECTORY has the node_modules, which `make .venv-sdks/.stamp` makes. Ends with code 1 when the
// SDK reports any error.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(process.env.SDKS + "/");
const [sdk, endpoint, key, optionsJson] = process.argv.slice(2);
const options = JSON.parse(optionsJson);
const calls = JSON.parse(readFileSync(0, "utf8"));
const errors = [];
const failed = (error) => errors.push(String(error?.reason ?? error));

function family(client, ids) {
  return (call) => {
    const message = {
      userId: call.userId,
      timestamp: new Date(call.timestamp),
      ...(ids ? { messageId: call.id } : {}),
      ...(call.event ? { event: call.event } : {}),
      ...(call.name ? { name: call.name, category: call.category } : {}),
      ...(call.groupId ? { groupId: call.groupId } : {}),
      ...(call.previousId ? { previousId: call.previousId } : {}),
    };
    const traits = ["identify", "group"].includes(call.type);
    if (call.facts) message[traits ? "traits" : "properties"] = call.facts;
    client[call.type](message);
  };
}

function posthog(client) {
  return (call) => {
    const stamps = { uuid: call.id, timestamp: new Date(call.timestamp) };
    const person = { distinctId: call.userId };
    const named = { ...call.facts, name: call.name, category: call.category };
    const events = { page: "$pageview", screen: "$screen", track: call.event };
    if (call.type === "identify") client.identify({ ...person, properties: call.facts });
    else if (call.type === "group")
      client.groupIdentify({
        ...person, groupType: "company", groupKey: call.groupId, properties: call.facts,
      });
    else if (call.type === "alias") client.alias({ ...person, alias: call.previousId });
    else
      client.capture({
        ...person, ...stamps, event: events[call.type],
        properties: call.type === "track" ? call.facts : named,
      });
  };
}

async function start() {
  if (sdk === "segment") {
    const { Analytics } = require("@segment/analytics-node");
    const client = new Analytics({ writeKey: key, host: endpoint, ...options });
    client.on("error", failed);
    return [family(client, true), () => client.closeAndFlush({ timeout: 20000 })];
  }
  if (sdk === "rudderstack") {
    const Analytics = require("@rudderstack/rudder-sdk-node");
    const client = new Analytics(key, {
      dataPlaneUrl: endpoint, errorHandler: failed, ...options,
    });
    // Its flush sends one batch, so it is asked until nothing is left, and once more to wait.
    const drain = async () => {
      while (client.queue.length > 0) await client.flush();
      await client.flush();
    };
    return [family(client, true), drain];
  }
  const { PostHog } = require("posthog-node");
  const client = new PostHog(key, { host: endpoint, ...options });
  client.on("error", failed);
  return [posthog(client), () => client.shutdown(20000)];
}

const [make, finish] = await start();
for (const call of calls) make(call);
await finish();
if (errors.length > 0) {
  console.error(errors.join("\n"));
  process.exit(1);
}
process.exit(0);
