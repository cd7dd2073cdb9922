import type { AgentConfig } from "./agents.ts";
import { atKey, atValue, type Finding, type Path, suggest } from "./problems.ts";
import type { Written } from "./references.ts";
import type { ReleaseConfig } from "./release.ts";
import type { ToolConfig } from "./tools.ts";

type Query = Extract<ToolConfig, { kind: "query" }>;
type Tools = Readonly<Record<string, ToolConfig>>;

/** What questions and the rest of a generation say of each other. */
export function queryFindings({ agents, tools, policy }: ReleaseConfig, written: Written): Finding[] {
  return [
    ...Object.entries(tools).flatMap(([name, tool]) =>
      tool.kind === "query" ? toolFindings(["tools", name], tool, written) : [],
    ),
    ...Object.entries(agents).flatMap(([name, agent]) => agentFindings(["agents", name], agent, tools, written)),
    ...policy.flatMap((rule, index) =>
      rule.tools.flatMap((name, at) =>
        tools[name]?.kind === "query"
          ? [
              atValue(
                ["policy", index, "tools", at],
                `"${name}" only asks, and no policy is asked about that`,
                `To keep it from asking: holdfast tools off ${name}.`,
              ),
            ]
          : [],
      ),
    ),
  ];
}

/** What other tools may say and a question has no use for. */
const OF_EFFECTS = [
  "class",
  "safeDirection",
  "target",
  "idempotent",
  "executeWithinSeconds",
  "approveWithinSeconds",
  "retries",
  "interlocks",
  "limits",
  "verify",
] as const;
const OF_MQTT = ["replyTopic", "payload", "correlate"] as const;

function toolFindings(at: Path, tool: Query, written: Written): Finding[] {
  const found: Finding[] = [];
  for (const key of OF_EFFECTS) {
    if (written.has([...at, key])) found.push(atKey([...at, key], `a query changes nothing, and has no ${key}`));
  }
  const asksBus = written.has([...at, "topic"]);
  if (asksBus === written.has([...at, "endpoint"])) {
    const message = asksBus ? "a query asks by topic or by endpoint, not by both" : "whom to ask is missing";
    found.push(atKey(at, message, "Name a topic and its replyTopic, or an endpoint of the gateway's file."));
    return found;
  }
  if (!asksBus) {
    for (const key of OF_MQTT) {
      if (written.has([...at, key])) found.push(atKey([...at, key], `${key} is for a query on the bus`));
    }
    return found;
  }
  if (!written.has([...at, "replyTopic"])) found.push(atKey(at, '"replyTopic" is missing: where the answer comes'));
  for (const key of ["topic", "replyTopic"] as const) {
    const topic = tool[key];
    if (topic !== undefined && /[+#\0]|^\$/.test(topic))
      found.push(atValue([...at, key], "one topic, without wildcards", "Write {name} where an argument goes."));
  }
  if (tool.topic !== undefined && tool.topic === tool.replyTopic)
    found.push(atValue([...at, "replyTopic"], "the request itself would be taken for the answer"));
  return found;
}

/** Each answer may take four kilobytes of every decision's line. */
const MOST_QUERIES = 16;

function agentFindings(at: Path, agent: AgentConfig, tools: Tools, written: Written): Finding[] {
  const known = written.names(["tools"]);
  const count = written.names([...at, "queries"]).length;
  const tooMany =
    count > MOST_QUERIES
      ? [atKey([...at, "queries"], `an agent asks at most ${MOST_QUERIES} questions, found ${count}`)]
      : [];
  const asked = Object.entries(agent.queries ?? {}).flatMap(([name, query]) => {
    const path = [...at, "queries", name, "tool"];
    if (!known.includes(query.tool)) {
      const hint = suggest(query.tool, known, "Add it under tools.");
      return [atValue(path, `there is no tool "${query.tool}"`, hint)];
    }
    const kind = tools[query.tool]?.kind;
    if (kind === undefined || kind === "query") return [];
    return [atValue(path, `"${query.tool}" is of kind ${kind}`, "A question is asked by a tool of kind query.")];
  });
  const lists = [
    ...agent.rules.map((rule, index) => ({ list: rule.do, path: [...at, "rules", index, "do"] })),
    { list: agent.fallback?.do ?? [], path: [...at, "fallback", "do"] },
    { list: agent.silence?.do ?? [], path: [...at, "silence", "do"] },
  ];
  const done = lists.flatMap(({ list, path }) =>
    list.flatMap(({ tool }, index) =>
      tools[tool]?.kind === "query"
        ? [atValue([...path, index, "tool"], `"${tool}" only asks`, "Name it under the agent's queries.")]
        : [],
    ),
  );
  return [...tooMany, ...asked, ...done];
}
