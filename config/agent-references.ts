import type { AgentConfig, FieldConfig, MqttSourceConfig } from "./agents.ts";
import { featureFunctions, parseFeature } from "./feature-syntax.ts";
import { atKey, atValue, type Finding, type Path, suggest } from "./problems.ts";
import type { Written } from "./references.ts";
import { readTopic } from "./topic-syntax.ts";

/** Mistakes inside one agent that need no model and no expression to be seen. */
export function agentFindings(name: string, agent: AgentConfig, written: Written): Finding[] {
  const at: Path = ["agents", name];
  return [
    ...agent.sources.flatMap((source, index) =>
      source.kind === "mqtt" ? sourceFindings([...at, "sources", index], source, written) : [],
    ),
    ...joinFindings(at, agent),
    ...featureFindings(at, agent, written),
    ...windowFindings(at, agent, written),
    ...ruleFindings(at, agent, written),
    ...actionFindings([...at, "fallback", "do"], agent.fallback?.do ?? [], written),
    ...actionFindings([...at, "silence", "do"], agent.silence?.do ?? [], written),
  ];
}

function sourceFindings(at: Path, source: MqttSourceConfig, written: Written): Finding[] {
  const { names, mistake } = readTopic(source.topic);
  const found: Finding[] = [];
  if (mistake !== undefined) found.push(atValue([...at, "topic"], mistake));
  if (typeof source.key === "string" && !names.includes(source.key)) {
    const otherwise = "Write the level as {name} in the topic, or take the key from the payload with key: { path: … }.";
    found.push(
      atValue([...at, "key"], `the topic has no level {${source.key}}`, suggest(source.key, names, otherwise)),
    );
  }
  if (source.format !== "json" && typeof source.key === "object") {
    found.push(
      atValue(
        [...at, "key"],
        `a ${source.format} payload has no paths to take the key from`,
        "Take it from a level of the topic.",
      ),
    );
  }
  const fields = written.names([...at, "fields"]).length || Object.keys(source.fields).length;
  if (fields === 0) found.push(atValue([...at, "fields"], "a source needs at least one field"));
  if (source.format === "scalar" && fields > 1) {
    found.push(atValue([...at, "fields"], `a scalar payload is one value, and has one field; found ${fields}`));
  }
  if (source.format !== "csv" && source.header !== undefined)
    found.push(atKey([...at, "header"], "header is for format: csv"));
  found.push(...timestampFindings([...at, "timestamp"], source, written));
  for (const [field, one] of Object.entries(source.fields)) {
    found.push(...fieldFindings([...at, "fields", field], field, one, { source, written, at }));
  }
  return found;
}

function timestampFindings(at: Path, source: MqttSourceConfig, written: Written): Finding[] {
  const { timestamp, format } = source;
  if (timestamp === undefined) return [];
  if (format === "scalar")
    return [atKey(at, "a scalar payload has no time in it", "Leave timestamp out: the time of arrival is used.")];
  const wanted = format === "csv" ? "column" : "path";
  const other = format === "csv" ? "path" : "column";
  if (timestamp[other] !== undefined)
    return [atKey([...at, other], `${other} is not for format: ${format}`, `Use ${wanted}.`)];
  if (timestamp[wanted] === undefined)
    return written.has([...at, wanted])
      ? []
      : [atKey(at, `"${wanted}" is missing: where the time stands in the payload`)];
  return format === "csv" ? columnFindings([...at, "column"], timestamp.column, source) : [];
}

/** A column's number is taken as it is; its name must be in the header. */
function columnFindings(at: Path, column: string | number | undefined, source: MqttSourceConfig): Finding[] {
  const header = source.header ?? [];
  if (typeof column === "string" && !header.includes(column)) {
    return [
      atValue(
        at,
        `there is no column "${column}"`,
        suggest(column, header, "Give its number from 0, or name the columns with header."),
      ),
    ];
  }
  if (typeof column === "number" && source.header !== undefined && column >= header.length) {
    return [atValue(at, `there is no column ${column}: the header names ${header.length}, counted from 0`)];
  }
  return [];
}

interface FieldContext {
  readonly source: MqttSourceConfig;
  readonly written: Written;
  readonly at: Path;
}

function fieldFindings(
  at: Path,
  name: string,
  field: FieldConfig,
  { source, written, at: sourceAt }: FieldContext,
): Finding[] {
  const found: Finding[] = [];
  const { min, max } = field;
  if (min !== undefined && max !== undefined && min > max) {
    found.push(atValue([...at, "min"], `expected at most max (${max}), found ${min}`, "Are the two swapped?"));
  }
  for (const bound of ["min", "max"] as const) {
    const isNumber = field.type === "number" || field.type === "integer";
    if (field[bound] !== undefined && !isNumber)
      found.push(atKey([...at, bound], `${bound} is for numbers, and this field is of type ${field.type}`));
  }
  if (field.maxAgeSeconds !== undefined && field.missing !== "last") {
    found.push(atKey([...at, "maxAgeSeconds"], `maxAgeSeconds is for missing: last, found missing: ${field.missing}`));
  }
  if (source.format !== "csv" && field.column !== undefined) {
    found.push(
      atKey(
        [...at, "column"],
        `column is for format: csv, and this source is ${source.format}`,
        "For JSON name the place with path.",
      ),
    );
  }
  if (source.format !== "json" && field.path !== undefined) {
    found.push(atKey([...at, "path"], `path is for format: json, and this source is ${source.format}`));
  }
  if (source.format !== "csv" || (written.has([...sourceAt, "header"]) && source.header === undefined)) return found;
  const place = field.column === undefined ? at : [...at, "column"];
  return [...found, ...columnFindings(place, field.column ?? name, source)];
}

/** Fields of several sources become one event: each has its own name. */
function joinFindings(at: Path, agent: AgentConfig): Finding[] {
  const owner = new Map<string, number>();
  const found: Finding[] = [];
  for (const [index, source] of agent.sources.entries()) {
    if (source.kind === "schedule") continue;
    const names = source.kind === "mqtt" ? Object.keys(source.fields) : (source.fields ?? []);
    for (const [place, name] of names.entries()) {
      const before = owner.get(name);
      owner.set(name, index);
      if (before === undefined) continue;
      const path = [...at, "sources", index, "fields", source.kind === "mqtt" ? name : place];
      const message =
        before === index
          ? `the field "${name}" is there twice`
          : `another source of this agent has a field "${name}" too`;
      found.push(atKey(path, message, "Give each field of an agent a name of its own."));
    }
  }
  return found;
}

interface KnownFields {
  readonly types: ReadonlyMap<string, FieldConfig["type"]>;
  /** All fields are known here: not so for vitals without a list, and where a source could not be read. */
  readonly isComplete: boolean;
}

function knownFields(at: Path, agent: AgentConfig, written: Written): KnownFields {
  const types = new Map<string, FieldConfig["type"]>();
  let isComplete = !written.has([...at, "sources", agent.sources.length]);
  for (const [index, source] of agent.sources.entries()) {
    if (source.kind === "schedule") continue;
    if (source.kind === "mqtt") {
      for (const name of written.names([...at, "sources", index, "fields"]))
        types.set(name, source.fields[name]?.type ?? "number");
    } else if (source.fields === undefined) isComplete = false;
    else for (const name of source.fields) types.set(name, "number");
  }
  return { types, isComplete };
}

function featureFindings(at: Path, agent: AgentConfig, written: Written): Finding[] {
  const fields = knownFields(at, agent, written);
  const hasWindow = written.has([...at, "window"]);
  return Object.entries(agent.features ?? {}).flatMap(([name, text]) => {
    const path = [...at, "features", name];
    const parsed = parseFeature(text);
    if (!parsed.ok) {
      const hint = parsed.unknown === undefined ? undefined : suggest(parsed.unknown, featureFunctions);
      return [atValue(path, parsed.message, hint)];
    }
    const { fn, field } = parsed.call;
    if (fields.isComplete && !fields.types.has(field)) {
      const known = [...fields.types.keys()];
      return [atValue(path, `no source of this agent has a field "${field}"`, suggest(field, known))];
    }
    if (fields.types.get(field) === "string")
      return [atValue(path, `${fn} computes with numbers, and "${field}" is text`)];
    if (!hasWindow && fn !== "last")
      return [
        atValue(path, `${fn} needs a window`, "Give the agent window: { seconds: … }; without one there is only last."),
      ];
    return [];
  });
}

function windowFindings(at: Path, agent: AgentConfig, written: Written): Finding[] {
  const { window } = agent;
  if (window === undefined) return [];
  const found: Finding[] = [];
  if (window.lateSeconds >= window.seconds) {
    const message = `expected less than the window's seconds (${window.seconds} s), found ${window.lateSeconds} s`;
    found.push(atValue([...at, "window", "lateSeconds"], message));
  }
  if (window.expectEverySeconds !== undefined && window.expectEverySeconds > window.seconds) {
    const message = `expected at most the window's seconds (${window.seconds} s), found ${window.expectEverySeconds} s`;
    found.push(atValue([...at, "window", "expectEverySeconds"], message));
  }
  if (!written.has([...at, "features"])) {
    found.push(
      atKey([...at, "window"], "a window without features is never used", "Add features, or leave the window out."),
    );
  }
  if (written.has([...at, "maxKeys"])) {
    found.push(atKey([...at, "maxKeys"], "an agent with a window says this as window.maxKeys", "Move it into window."));
  }
  return found;
}

function ruleFindings(at: Path, agent: AgentConfig, written: Written): Finding[] {
  const seen = new Set<string>();
  return agent.rules.flatMap((rule, index) => {
    const path = [...at, "rules", index];
    const twice = seen.has(rule.id)
      ? [atValue([...path, "id"], `another rule of this agent has the id "${rule.id}" too`)]
      : [];
    seen.add(rule.id);
    return [...twice, ...actionFindings([...path, "do"], rule.do, written)];
  });
}

function actionFindings(at: Path, list: readonly { readonly tool: string }[], written: Written): Finding[] {
  const known = written.names(["tools"]);
  return list.flatMap(({ tool }, index) =>
    known.includes(tool)
      ? []
      : [atValue([...at, index, "tool"], `there is no tool "${tool}"`, suggest(tool, known, "Add it under tools."))],
  );
}
