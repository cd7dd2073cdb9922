import type { LoadedConfig } from "../../config/load.ts";
import type { Path, Problem } from "../../config/problems.ts";
import { neededBy } from "../../config/tool-references.ts";
import type { ToolConfig } from "../../config/tools.ts";
import type { CompiledAgent } from "../check.ts";
import type { CompiledAction } from "../compiled-action.ts";
import { overlaps } from "../sources/topics.ts";
import { filterOf } from "./template.ts";
import { planTool, type ToolPlan } from "./tool-plan.ts";

/** Plans of all tools that have effects. Mistakes that need conditions and topics to be seen go to `problems`. */
export function checkTools(loaded: LoadedConfig, problems: Problem[]): Map<string, ToolPlan> {
  const { gateway, generation } = loaded.config;
  const tools = Object.entries(generation.tools).filter(([, tool]) => tool.kind !== "query");
  const commands = tools.flatMap(([, tool]) => (tool.kind === "mqtt" ? [tool.topic] : []));
  for (const [name, tool] of tools) {
    for (const [path, topic] of heardBy(tool)) {
      const own = commands.find((command) => overlaps(filterOf(command), filterOf(topic)));
      if (own === undefined) continue;
      const message = `this topic may be the one of a command, ${own}: a command would be taken as what the plant says`;
      problems.push(
        loaded.problemAt(["tools", name, ...path], message, "Name a topic that only the plant publishes to."),
      );
    }
  }
  return new Map(
    tools.map(([name, tool]) => [
      name,
      planTool(name, tool, neededBy(tool, gateway), gateway.device, loaded.problemAt, problems),
    ]),
  );
}

function heardBy({ verify, interlocks }: ToolConfig): readonly (readonly [Path, string])[] {
  return [
    ...(verify === undefined ? [] : [[["verify", "topic"], verify.topic] as const]),
    ...(interlocks?.requires ?? []).map(
      ({ topic }, index) => [["interlocks", "requires", index, "topic"], topic] as const,
    ),
  ];
}

/** What is private stays on the gateway and its bus: words to people, tasks and web addresses never get it. */
export function checkPrivacy(
  agent: string,
  compiled: CompiledAgent,
  tools: Readonly<Record<string, ToolConfig>>,
  problemAt: LoadedConfig["problemAt"],
  problems: Problem[],
): void {
  const lists: readonly (readonly [Path, readonly CompiledAction[]])[] = [
    ...compiled.rules.map((rule, index) => [["rules", index, "do"], rule.actions] as const),
    [["fallback", "do"], compiled.fallback],
    [["silence", "do"], compiled.silence],
  ];
  for (const [path, actions] of lists) {
    for (const [index, action] of actions.entries()) {
      const kind = tools[action.tool]?.kind;
      if (kind !== "notify" && kind !== "handoff" && kind !== "webhook") continue;
      for (const { name } of action.arguments.filter((one) => one.isPrivate)) {
        const at = ["agents", agent, ...path, index, "arguments", name];
        const message = `it is made from a private field, and a tool of kind ${kind} would tell it`;
        problems.push(problemAt(at, message, "Leave the field out, or do not mark it as private."));
      }
    }
  }
}
