// An official SDK for browsers, making the calls it is given, in a page of another origin.
//
//     /calls.html?{"sdk", "endpoint", "key", "options"}
//
// The title says "called" when all calls were made, or what went wrong. The SDKs come from /sdk/,
// which is the node_modules that `make .venv-sdks/.stamp` makes.

const asked = JSON.parse(decodeURIComponent(location.search.slice(1)));
const calls = await (await fetch("/calls.json")).json();
const origin = new URL(asked.endpoint);

function script(path) {
  return new Promise((resolve, reject) => {
    const made = document.createElement("script");
    made.src = `/sdk/${path}`;
    made.onload = resolve;
    made.onerror = () => reject(new Error(path));
    document.head.append(made);
  });
}

async function segment() {
  await script("@segment/analytics-next/dist/umd/index.js");
  const connection = {
    apiKey: asked.key,
    apiHost: `${origin.host}/v1`,
    protocol: origin.protocol.slice(0, -1),
    ...asked.options,
  };
  const cdnSettings = { integrations: { "Segment.io": connection } };
  const [analytics] = await AnalyticsNext.AnalyticsBrowser.load({ writeKey: asked.key, cdnSettings });
  return family(analytics, { integrations: {} });
}

async function rudderstack() {
  await script("@rudderstack/analytics-js/dist/npm/modern/bundled/umd/index.js");
  const source = { id: "s", name: "s", writeKey: asked.key, enabled: true, config: {}, destinations: [], workspaceId: "w", connections: [], dataplanes: {} };
  const analytics = new rudderanalytics.RudderAnalytics();
  analytics.load(asked.key, asked.endpoint, {
    configUrl: `${location.origin}/config`,
    getSourceConfig: () => ({ source, updatedAt: "2026-01-01T00:00:00.000Z" }),
    destSDKBaseURL: `${location.origin}/none`,
    pluginsSDKBaseURL: `${location.origin}/none`,
    sendAdblockPage: false,
    ...asked.options,
  });
  await new Promise((resolve) => analytics.ready(resolve));
  return family(analytics);
}

// The Segment family: all its calls look the same.
function family(analytics) {
  return (call) => {
    if (call.type === "identify") return analytics.identify(call.userId, call.facts);
    if (call.type === "page") return analytics.page(call.category, call.name, call.facts);
    if (call.type === "group") return analytics.group(call.groupId, call.facts);
    if (call.type === "alias") return analytics.alias(call.userId, call.previousId);
    return analytics.track(call.event, { ...call.facts, number: call.number });
  };
}

async function posthog() {
  const { default: client } = await import("/sdk/posthog-js/dist/module.full.no-external.js");
  await new Promise((loaded) => {
    client.init(asked.key, {
      api_host: asked.endpoint,
      autocapture: false,
      capture_pageview: false,
      capture_pageleave: false,
      disable_session_recording: true,
      advanced_disable_flags: true,
      // It takes a driven browser for a bot, and sends nothing then.
      opt_out_useragent_filter: true,
      rate_limiting: { events_per_second: 1000, events_burst_limit: 10000 },
      loaded,
      ...asked.options,
    });
  });
  return (call) => {
    if (call.type === "identify") return client.identify(call.userId, call.facts);
    if (call.type === "page") return client.capture("$pageview", { ...call.facts, title: call.name });
    if (call.type === "group") return client.group("company", call.groupId, call.facts);
    if (call.type === "alias") return client.alias(call.userId);
    return client.capture(call.event, { ...call.facts, number: call.number });
  };
}

try {
  const make = await { segment, rudderstack, posthog }[asked.sdk]();
  for (const call of calls) await make(call);
  document.title = "called";
} catch (error) {
  document.title = `failed: ${error?.stack ?? error}`;
}
