import type { Status } from "../status.ts";
import type { Paint } from "./format.ts";

const WORDS: Readonly<Record<string, string>> = {
  observe: "it decides and writes down, and acts on nothing.",
  dryRun: "it goes the whole way, and leaves the tools out.",
  approve: "it asks a person before it acts.",
  auto: "it acts under its policy.",
};

function modeWords({ mode, latched }: Status): string {
  return latched ? "it is stopped, and acts on nothing until somebody releases it." : (WORDS[mode] ?? "");
}

/** What a person sees when the daemon is up: what it does now, and what to try next. */
export function greeting(status: Status, paint: Paint, named: { file: string; data: string | undefined }): string {
  const data = named.data === undefined || named.data === ".holdfast" ? "" : ` --data ${named.data}`;
  const agents = status.agents.map(
    (agent) => `${agent.name}${agent.model === null ? "" : ` with model ${agent.model}`}`,
  );
  const tries: readonly (readonly [string, string])[] = [
    [`npx holdfast status${data}`, "what it does, and that its books balance"],
    [`npx holdfast decisions --follow${data}`, "decisions as they are written"],
    [`npx holdfast events --follow${data}`, "what comes in, and why something was rejected"],
    ["npx holdfast --help", "everything else"],
  ];
  const width = Math.max(...tries.map(([command]) => command.length));
  return [
    "",
    `${paint("Holdfast is ready.", "bold")} Mode ${status.mode}: ${modeWords(status)}`,
    `  agents    ${agents.join(", ")}`,
    `  bus       ${status.bus.address}`,
    `  log       ${status.store.path}`,
    `  config    ${named.file}`,
    "",
    "In another terminal:",
    ...tries.map(([command, why]) => `  ${paint(command.padEnd(width), "cyan")}  ${paint(why, "dim")}`),
    "",
    "",
  ].join("\n");
}
