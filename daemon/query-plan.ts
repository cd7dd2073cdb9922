import { type Path, type Problem, suggest } from "../config/problems.ts";
import type { ToolConfig } from "../config/tools.ts";
import { filterOf, placesIn } from "./act/template.ts";
import type { ArgumentValue } from "./act/tool.ts";
import type { AgentPlan } from "./agent-plan.ts";
import { declarationsOf } from "./check.ts";
import { type Expression, Expressions } from "./expressions.ts";
import { overlaps } from "./sources/topics.ts";

export type QueryConfig = Extract<ToolConfig, { kind: "query" }>;

type Argument = readonly [name: string, value: Expression | ArgumentValue];

/** A question of an agent. Text in its arguments became expressions. */
export interface CompiledQuery {
  readonly name: string;
  readonly tool: string;
  readonly arguments: readonly Argument[];
}

export interface CompiledQueries {
  /** Over which all arguments of one agent are evaluated. */
  readonly expressions: Expressions;
  readonly list: readonly CompiledQuery[];
}

type Say = (path: Path, message: string, hint?: string) => void;
type Tools = Readonly<Record<string, ToolConfig>>;
type Endpoints = Readonly<Record<string, { readonly url: string }>>;

export interface QueryGround {
  readonly tools: Tools;
  readonly endpoints: Endpoints;
  readonly device: { readonly name: string; readonly labels: Readonly<Record<string, string>> };
  readonly problemAt: (path: Path, message: string, hint?: string) => Problem;
}

/** What an agent asks, compiled; mistakes go to `problems`. Undefined where it asks nothing. */
export function compileQueries(plan: AgentPlan, ground: QueryGround, problems: Problem[]): CompiledQueries | undefined {
  const configured = Object.entries(plan.config.queries ?? {});
  if (configured.length === 0) return undefined;
  const say: Say = (path, message, hint) => void problems.push(ground.problemAt(path, message, hint));
  const declarations = declarationsOf(plan, undefined, ground.device);
  const expressions = new Expressions({ ...declarations, features: [], queries: [], windowed: false });
  const list = configured.flatMap(([name, { tool: toolName, arguments: values }]): CompiledQuery[] => {
    const tool = ground.tools[toolName];
    if (tool?.kind !== "query") return [];
    const at: Path = ["agents", plan.name, "queries", name, "arguments"];
    checkNames(at, Object.keys(values), tool, ground.endpoints, say);
    const given = Object.entries(values).flatMap(([argument, value]): Argument[] => {
      if (typeof value !== "string") return [[argument, value]];
      const expression = expressionOf([...at, argument], value, expressions, say);
      return expression === undefined ? [] : [[argument, expression]];
    });
    if (tool.endpoint !== undefined) for (const one of given) checkPrivate(at, one, plan, say);
    return [{ name, tool: toolName, arguments: given }];
  });
  return { expressions, list };
}

/** An argument for each place and a place for each argument; those of a URL may not stand in for what is there. */
function checkNames(at: Path, names: readonly string[], tool: QueryConfig, endpoints: Endpoints, say: Say): void {
  if (tool.endpoint !== undefined) {
    const url = endpoints[tool.endpoint]?.url ?? "";
    const fixed = URL.canParse(url) ? new URL(url).searchParams : new URLSearchParams();
    for (const name of names) if (fixed.has(name)) say([...at, name], `the endpoint's URL says "${name}" already`);
    return;
  }
  const places = [...new Set(placesIn([tool.topic, tool.replyTopic, tool.payload]))];
  for (const place of places)
    if (!names.includes(place)) say(at, `the argument "${place}" is missing`, "The tool has a place for it.");
  for (const name of names)
    if (!places.includes(name))
      say([...at, name], `the tool has no place for an argument "${name}"`, suggest(name, places));
}

function expressionOf(path: Path, source: string, expressions: Expressions, say: Say): Expression | undefined {
  const compiled = expressions.compile(source, "value");
  if (!compiled.ok) {
    const quotes = "Arguments are CEL expressions; text goes in quotes of its own: \"'north'\".";
    for (const one of compiled.problems) say(path, one.message, one.hint ?? quotes);
    return undefined;
  }
  const { expression } = compiled;
  const beyond = [...expression.reads].find((name) => !/^(?:event|device)\b/.test(name));
  if (beyond === undefined) return expression;
  say(path, `${beyond} is not known when the question is asked`, "It is asked while the model runs: name event.*.");
  return undefined;
}

function checkPrivate(at: Path, [argument, value]: Argument, plan: AgentPlan, say: Say): void {
  if (typeof value !== "object") return;
  for (const { name, isPrivate } of plan.fields) {
    if (!isPrivate || !value.reads.has(`event.fields.${name}`)) continue;
    say([...at, argument], `the field "${name}" is private, and would leave the gateway`, "Ask with something else.");
  }
}

/** Mistakes of query tools that no schema sees: what would change something, and answers that can not be told apart. */
export function checkQueryTools(tools: Tools, say: Say): void {
  for (const [name, tool] of Object.entries(tools)) {
    if (tool.kind !== "query" || tool.topic === undefined || tool.replyTopic === undefined) continue;
    const { topic, replyTopic, payload, correlate } = tool;
    const command = Object.entries(tools).find(
      ([, other]) => other.kind === "mqtt" && overlaps(filterOf(other.topic), filterOf(topic)),
    );
    if (command !== undefined)
      say(["tools", name, "topic"], `"${command[0]}" sends its commands there, and a query changes nothing`);
    const apart = placesIn(replyTopic);
    const mixed = correlate ? undefined : placesIn([topic, payload]).find((place) => !apart.includes(place));
    if (mixed !== undefined)
      say(
        ["tools", name, "correlate"],
        `answers for one {${mixed}} could be taken for another's`,
        `Name {${mixed}} in replyTopic too, or have the answer repeat _id.`,
      );
  }
}
