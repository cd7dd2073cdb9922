import type { AgentConfig } from "./agents.ts";
import type { GatewayConfig } from "./gateway.ts";
import { atKey, atValue, type Finding, type Path, suggest } from "./problems.ts";
import type { Whole, Written } from "./references.ts";
import { commandTopicMistake, placesIn } from "./template-syntax.ts";
import type { ToolConfig } from "./tools.ts";

type Notify = Extract<ToolConfig, { kind: "notify" }>;

/** What tools name and the gateway's file must have, and what those who use a tool have to give it. */
export function toolFindings({ gateway, generation }: Whole, written: Written): Finding[] {
  return [
    ...Object.entries(generation.tools).flatMap(([name, tool]) => [
      ...nameFindings(["tools", name], tool, written),
      ...classFindings(["tools", name], tool),
      ...topicFindings(["tools", name], tool),
      ...(tool.kind === "notify" ? notifyFindings(["tools", name], tool, gateway, written) : []),
    ]),
    ...Object.entries(generation.agents).flatMap(([name, agent]) =>
      useFindings(["agents", name], agent, generation.tools, gateway),
    ),
  ];
}

function nameFindings(at: Path, tool: ToolConfig, written: Written): Finding[] {
  const uses = (key: string, value: string | undefined, section: string, what: string): Finding[] => {
    const known = written.names([section]);
    if (value === undefined || known.includes(value)) return [];
    const hint = suggest(value, known, `Name it in the gateway's file, under ${section}.`);
    return [atValue([...at, key], `there is no ${what} "${value}"`, hint)];
  };
  switch (tool.kind) {
    case "command":
      return uses("program", tool.program, "programs", "program");
    case "webhook":
    case "query":
      return uses("endpoint", tool.endpoint, "endpoints", "endpoint");
    case "notify":
      return [...uses("endpoint", tool.endpoint, "endpoints", "endpoint"), ...peopleFindings(at, tool.to, written)];
    case "handoff":
      return peopleFindings(at, tool.to, written);
    case "mqtt":
      return [];
  }
}

function peopleFindings(at: Path, to: readonly string[], written: Written): Finding[] {
  const known = written.names(["people"]);
  return to.flatMap((person, index) => {
    if (known.includes(person)) return [];
    const hint = suggest(person, known, "Name them under people of the gateway's file.");
    return [atValue([...at, "to", index], `there is no person "${person}"`, hint)];
  });
}

/** What is of class notify needs no permit and goes on while the gateway is stopped: only what people read. */
function classFindings(at: Path, tool: ToolConfig): Finding[] {
  if (tool.class !== "notify" || tool.kind === "notify" || tool.kind === "handoff") return [];
  const message = `a tool of kind ${tool.kind} can not be of class notify: that needs no permit, and works while latched`;
  return [atValue([...at, "class"], message, "Words to people are sent by tools of kind notify.")];
}

function topicFindings(at: Path, tool: ToolConfig): Finding[] {
  const topics: readonly (readonly [Path, string | undefined])[] = [
    [["topic"], tool.kind === "mqtt" ? tool.topic : undefined],
    [["verify", "topic"], tool.verify?.topic],
    ...(tool.interlocks?.requires ?? []).map(({ topic }, index): readonly [Path, string] => [
      ["interlocks", "requires", index, "topic"],
      topic,
    ]),
  ];
  return topics.flatMap(([path, topic]) => {
    const mistake = topic === undefined ? undefined : commandTopicMistake(topic);
    return mistake === undefined ? [] : [atValue([...at, ...path], mistake)];
  });
}

function notifyFindings(at: Path, tool: Notify, gateway: GatewayConfig, written: Written): Finding[] {
  const { via, to, endpoint } = tool;
  if (via !== "webhook" && endpoint !== undefined)
    return [atKey([...at, "endpoint"], `endpoint is for via: webhook, found via: ${via}`)];
  if (via === "webhook" && !written.has([...at, "endpoint"]))
    return [atValue([...at, "via"], '"endpoint" is missing: where the words go', "Name it, as under endpoints.")];
  if (via !== "mail") return [];
  if (!written.has(["mail"]))
    return [atValue([...at, "via"], "the gateway's file has no mail server", "Describe it there under mail.")];
  if (!written.has([...at, "to"]))
    return [atValue([...at, "via"], "mail to nobody", "Name people who have a mail address with to.")];
  return to.flatMap((person, index) => {
    const hasMail = gateway.people[person] === undefined || written.has(["people", person, "mail"]);
    if (hasMail) return [];
    return [atValue([...at, "to", index], `${person} has no mail address`, `Add it as people.${person}.mail.`)];
  });
}

/** Each use of a tool has to give every argument that the tool, its target and its checks have a place for. */
function useFindings(
  at: Path,
  agent: AgentConfig,
  tools: Readonly<Record<string, ToolConfig>>,
  gateway: GatewayConfig,
): Finding[] {
  const lists: readonly (readonly [Path, AgentConfig["rules"][number]["do"]])[] = [
    ...agent.rules.map((rule, index) => [["rules", index, "do"], rule.do] as const),
    [["fallback", "do"], agent.fallback?.do ?? []],
    [["silence", "do"], agent.silence?.do ?? []],
  ];
  return lists.flatMap(([path, list]) =>
    list.flatMap((use, index) => {
      const tool = tools[use.tool];
      if (tool === undefined) return [];
      return neededBy(tool, gateway)
        .filter((name) => !Object.hasOwn(use.arguments, name))
        .map((name) => {
          const hint = `Add it: arguments: { ${name}: … }.`;
          return atValue([...at, ...path, index, "tool"], `${use.tool} needs the argument ${name}`, hint);
        });
    }),
  );
}

/** Names of the arguments without which a tool can not be used. */
export function neededBy(tool: ToolConfig, gateway: Pick<GatewayConfig, "programs">): string[] {
  const { target, verify, interlocks } = tool;
  const ofAll = [target, verify?.topic, interlocks?.requires.map(({ topic }) => topic)];
  return [...new Set([...placesIn(ofKind(tool, gateway)), ...placesIn(ofAll)])];
}

function ofKind(tool: ToolConfig, gateway: Pick<GatewayConfig, "programs">): unknown {
  switch (tool.kind) {
    case "mqtt":
      return [tool.topic, tool.payload];
    case "webhook":
      return tool.body;
    case "command":
      return gateway.programs[tool.program]?.arguments;
    default:
      return undefined;
  }
}
