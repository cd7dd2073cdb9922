import type { AgentConfig, MqttSourceConfig } from "./agents.ts";
import { featureFunctions, parseFeature } from "./feature-syntax.ts";
import type { GatewayConfig } from "./gateway.ts";
import { didYouMean, type Finding, type Path } from "./problems.ts";
import type { ReleaseConfig } from "./release.ts";

interface Whole {
  readonly gateway: GatewayConfig;
  readonly generation: ReleaseConfig;
}

/** What one part of a configuration says of another: names that must exist, and combinations that can not work. */
export function references(config: Whole): Finding[] {
  const { gateway, generation } = config;
  const found: Finding[] = [...bus(gateway), ...mode(gateway)];
  for (const [name, agent] of Object.entries(generation.agents)) found.push(...agentFindings(name, agent, config));
  for (const [name, model] of Object.entries(generation.models)) {
    if (model.lane !== "main" && !Object.hasOwn(gateway.hosts.lanes, model.lane)) {
      found.push(finding(["models", name, "lane"], `there is no lane "${model.lane}"`, didYouMean(model.lane, Object.keys(gateway.hosts.lanes)) ?? "Name it under hosts.lanes of the gateway's file."));
    }
    if (model.hardTimeoutSeconds < model.deadlineSeconds) found.push(finding(["models", name, "hardTimeoutSeconds"], `expected at least deadlineSeconds (${model.deadlineSeconds}), found ${model.hardTimeoutSeconds}`));
  }
  for (const [name, tool] of Object.entries(generation.tools)) {
    if (tool.kind === "command" && !Object.hasOwn(gateway.programs, tool.program)) found.push(finding(["tools", name, "program"], `there is no program "${tool.program}"`, didYouMean(tool.program, Object.keys(gateway.programs)) ?? "Programs are named in the gateway's file, under programs."));
    if (tool.kind === "webhook" && !Object.hasOwn(gateway.endpoints, tool.endpoint)) found.push(finding(["tools", name, "endpoint"], `there is no endpoint "${tool.endpoint}"`, didYouMean(tool.endpoint, Object.keys(gateway.endpoints)) ?? "Endpoints are named in the gateway's file, under endpoints."));
  }
  found.push(...policyFindings(generation));
  return found;
}

function finding(path: Path, message: string, hint?: string): Finding {
  return { path, at: "value", message, hint };
}

function bus(gateway: GatewayConfig): Finding[] {
  const { bus: config } = gateway;
  if (config.kind === "external") return [];
  const loopback = /^(127\.|::1$|localhost$)/.test(config.host);
  if (loopback || config.anonymous === true || Object.keys(config.users).length > 0) return [];
  return [finding(["bus", "host"], `${config.host} can be reached from other machines, and anybody could publish readings`, "Name users under bus.users, or say bus.anonymous: true.")];
}

function mode(gateway: GatewayConfig): Finding[] {
  return gateway.mode === "observe" ? [] : [finding(["mode"], `mode ${gateway.mode} is not there yet: this version decides and records, and acts on nothing`, "Use mode: observe.")];
}

function agentFindings(name: string, agent: AgentConfig, config: Whole): Finding[] {
  const at: Path = ["agents", name];
  const fields = fieldsOf(agent);
  const found: Finding[] = agent.sources.flatMap((source, index) => (source.kind === "mqtt" ? sourceFindings([...at, "sources", index], source) : []));
  const twice = fields.filter((field, index) => fields.indexOf(field) !== index);
  for (const field of new Set(twice)) found.push(finding([...at, "sources"], `two sources have a field "${field}"`, "Give each field of an agent its own name."));
  found.push(...featureFindings(at, agent, fields), ...windowFindings(at, agent));
  const ids = new Set<string>();
  for (const [index, rule] of agent.rules.entries()) {
    if (ids.has(rule.id)) found.push(finding([...at, "rules", index, "id"], `the rule id "${rule.id}" is there twice`));
    ids.add(rule.id);
    found.push(...toolFindings([...at, "rules", index, "do"], rule.do, config.generation));
  }
  if (agent.fallback !== undefined) found.push(...toolFindings([...at, "fallback", "do"], agent.fallback.do, config.generation));
  if (agent.silence !== undefined) found.push(...toolFindings([...at, "silence", "do"], agent.silence.do, config.generation));
  return found;
}

/** Names of an agent's fields in order; the vitals of a source without a list are known to the daemon alone. */
function fieldsOf(agent: AgentConfig): string[] {
  return agent.sources.flatMap((source) => (source.kind === "mqtt" ? Object.keys(source.fields) : source.kind === "vitals" ? (source.fields ?? []) : []));
}

function sourceFindings(at: Path, source: MqttSourceConfig): Finding[] {
  const found: Finding[] = [];
  const levels = source.topic.split("/");
  const named = levels.flatMap((level) => /^\{(\w+)\}$/.exec(level)?.[1] ?? []);
  for (const [index, level] of levels.entries()) {
    const wild = level === "+" || level === "#" || /^\{\w+\}$/.test(level);
    if (!wild && /[+#{}]/.test(level)) found.push(finding([...at, "topic"], `the topic level "${level}" mixes a wildcard with text`, "A level is text, +, #, or {name}."));
    if (level === "#" && index !== levels.length - 1) found.push(finding([...at, "topic"], "# may only be the last level of a topic"));
  }
  if (new Set(named).size !== named.length) found.push(finding([...at, "topic"], "two levels of the topic have the same name"));
  if (typeof source.key === "string" && !named.includes(source.key)) {
    found.push(finding([...at, "key"], `the topic has no level {${source.key}}`, didYouMean(source.key, named) ?? (named.length > 0 ? `Its levels are: ${named.join(", ")}.` : "Write the level as {name} in the topic, or take the key from the payload with key: { path: … }.")));
  }
  if (Object.keys(source.fields).length === 0) found.push(finding([...at, "fields"], "a source needs at least one field"));
  if (source.format === "scalar" && Object.keys(source.fields).length !== 1) found.push(finding([...at, "fields"], `a scalar payload has exactly one field, found ${Object.keys(source.fields).length}`));
  for (const [field, one] of Object.entries(source.fields)) found.push(...fieldFindings([...at, "fields", field], field, one, source));
  return found;
}

function fieldFindings(at: Path, name: string, field: MqttSourceConfig["fields"][string], source: MqttSourceConfig): Finding[] {
  const found: Finding[] = [];
  if (field.min !== undefined && field.max !== undefined && field.min > field.max) found.push(finding([...at, "min"], `expected at most max (${field.max}), found ${field.min}`));
  if (source.format === "json" && field.column !== undefined) found.push(finding([...at, "column"], "column is for CSV payloads", "Use path for JSON, or format: csv."));
  if (source.format !== "csv") return found;
  if (field.path !== undefined) found.push(finding([...at, "path"], "path is for JSON payloads", "Use column for CSV."));
  const column = field.column ?? name;
  if (typeof column === "string" && !(source.header ?? []).includes(column)) {
    found.push(finding([...at, ...(field.column === undefined ? [] : ["column"])], `there is no column "${column}"`, didYouMean(column, source.header ?? []) ?? "Give its number from 0, or name the columns with header."));
  }
  return found;
}

function featureFindings(at: Path, agent: AgentConfig, fields: readonly string[]): Finding[] {
  const found: Finding[] = [];
  const openVitals = agent.sources.some((source) => source.kind === "vitals" && source.fields === undefined);
  for (const [name, text] of Object.entries(agent.features ?? {})) {
    const path = [...at, "features", name];
    const parsed = parseFeature(text);
    if (!parsed.ok) {
      found.push(finding(path, parsed.message, parsed.unknown === undefined ? undefined : (didYouMean(parsed.unknown, featureFunctions) ?? `Known: ${featureFunctions.join(", ")}.`)));
      continue;
    }
    const { fn, field } = parsed.call;
    if (!fields.includes(field) && !openVitals) found.push(finding(path, `no source has a field "${field}"`, didYouMean(field, fields) ?? `Fields: ${fields.join(", ")}.`));
    if (agent.window === undefined && fn !== "last") found.push(finding(path, `${fn} needs a window`, "Give the agent a window: { seconds: … }."));
  }
  return found;
}

function windowFindings(at: Path, agent: AgentConfig): Finding[] {
  const { window } = agent;
  if (window === undefined) return [];
  const found: Finding[] = [];
  if (window.lateSeconds > window.seconds) found.push(finding([...at, "window", "lateSeconds"], `expected at most the window's seconds (${window.seconds}), found ${window.lateSeconds}`));
  if (agent.features === undefined) found.push({ path: [...at, "window"], at: "key", message: "a window without features is never used", hint: "Add features, or leave the window out." });
  return found;
}

function toolFindings(at: Path, list: readonly { readonly tool: string }[], generation: ReleaseConfig): Finding[] {
  const known = Object.keys(generation.tools);
  return list.flatMap((action, index) =>
    known.includes(action.tool) ? [] : [finding([...at, index, "tool"], `there is no tool "${action.tool}"`, didYouMean(action.tool, known) ?? (known.length > 0 ? `Tools: ${known.join(", ")}.` : "Add it under tools."))],
  );
}

function policyFindings(generation: ReleaseConfig): Finding[] {
  return generation.policy.flatMap((rule, index) => {
    const missing = (list: readonly string[], known: readonly string[], what: string): Finding[] =>
      list.filter((name) => name !== "*" && !known.includes(name)).map((name) => finding(["policy", index, what], `there is no ${what.slice(0, -1)} "${name}"`, didYouMean(name, known)));
    return [...missing(rule.tools, Object.keys(generation.tools), "tools"), ...missing(rule.agents, Object.keys(generation.agents), "agents")];
  });
}
