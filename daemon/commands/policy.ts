import type { Command } from "commander";
import { isPolicyAlone, type LoadedConfig, loadConfig, type Problem } from "../../config/load.ts";
import { bundledExample } from "../assets.ts";
import { ConfigInvalid, DaemonError, EXIT_DONE, EXIT_FAILED } from "../errors.ts";
import { type CompiledPolicy, compilePolicy } from "../policy.ts";
import { failureOf, type PolicyCase, policyCases } from "../policy-cases.ts";
import type { Permitted, PermittedBy } from "../policy-explain.ts";
import { type ExplainedPolicy, explainPolicy } from "../policy-findings.ts";
import { findConfig } from "./data.ts";
import { type Paint, painter, safe, table } from "./format.ts";
import type { Io, RunVerb } from "./io.ts";

interface Options {
  readonly config?: string;
  readonly json?: boolean;
}

const FILES = `
FILE is a whole configuration, or a file with policy: or policyTests: alone, which then stand in place of those of the
gateway's file; that one has the tools and agents. Without FILE: the gateway's file itself.
`;

export const verb = (io: Io) => (program: Command, run: RunVerb) => {
  const policy = program.command("policy").description("the rules over actions: try their cases, see who may do what");
  policy
    .command("test [file]")
    .description("tries each case of policyTests and says what the policy makes of it")
    .option("--config <file>", "the gateway's file")
    .option("--json", "{passed, failed, cases:[{name,tool,agent,expect,effect,rules,errors,passed,file,line}]}")
    .addHelpText(
      "after",
      `${FILES}\nExample:\n  holdfast policy test night.yaml --config holdfast.yaml\n\nExit status 1 when a case comes out otherwise, 78 when the configuration has mistakes.`,
    )
    .action((file: string | undefined, options: Options) => run(async () => testPolicy(file, options, io)));
  policy
    .command("explain [file]")
    .description("who may use which tool, by which rules, and which rules never have an effect")
    .option("--config <file>", "the gateway's file")
    .option(
      "--json",
      "{permissions:[{agent,tool,class,proposed,permission,rules:[{id,effect,matches}]}], findings:[{kind,rule,tool,message}]}",
    )
    .addHelpText(
      "after",
      `${FILES}
With --json agent is "" for people; permission is always, underCondition, needsApproval, forbidden or never; matches is
always or sometimes; kind is neverMatches, noEffect, needless, nobodyMayUse or unknownName. Pairs that no rule of the
agent proposes are there too, with proposed: false.

Example:
  holdfast policy explain --config holdfast.yaml

What the policy permits may still wait: for the mode, limits, interlocks, and two people where a tool is critical.`,
    )
    .action((file: string | undefined, options: Options) => run(async () => explain(file, options, io)));
};

interface Opened {
  readonly loaded: LoadedConfig;
  readonly policy: CompiledPolicy;
}

/** The policy that is meant, with the tools and agents around it. Models are not looked at. */
function opened(file: string | undefined, options: Options, io: Io): Opened {
  const isAlone = file !== undefined && isPolicyAlone(file);
  const usual = findConfig(options) ?? (isAlone ? undefined : bundledExample());
  const main = file === undefined || isAlone ? usual : file;
  if (main === undefined)
    throw new DaemonError("INPUT_FILE", {}, { hint: "Name the gateway's file, which has the tools, with --config." });
  const policyFile = isAlone ? file : undefined;
  const loaded = loadConfig({ file: main, environment: io.environment, policyFile });
  if (!loaded.ok) throw new ConfigInvalid(loaded.problems);
  const { gateway, generation } = loaded.config;
  const problems: Problem[] = [];
  const deps = { device: gateway.device, tools: generation.tools, problemAt: loaded.problemAt, problems };
  const policy = compilePolicy(generation.policy, deps);
  if (policy === undefined) throw new ConfigInvalid(problems);
  return { loaded, policy };
}

function testPolicy(file: string | undefined, options: Options, io: Io): number {
  const { loaded, policy } = opened(file, options, io);
  const { tools, policyTests } = loaded.config.generation;
  const cases = policyCases(policy, policyTests, tools);
  const failed = cases.filter((one) => !one.isAsExpected).length;
  const place = (index: number) => loaded.locate(["policyTests", index]);
  if (options.json === true) {
    const lines = cases.map((one, index) => caseJson(one, place(index)));
    io.out(`${JSON.stringify({ passed: cases.length - failed, failed, cases: lines })}\n`);
    return failed === 0 ? EXIT_DONE : EXIT_FAILED;
  }
  const paint = painter(io);
  for (const [index, one] of cases.entries()) {
    const { file: at, line } = place(index);
    if (one.isAsExpected) io.out(`${paint("ok  ", "green")}  ${safe(one.name)}: ${outcomeText(one)}\n`);
    else io.out(`${paint("FAIL", "red")}  ${safe(failureOf(one), 400)}  (${at}:${line})\n`);
  }
  const end = failed === 0 ? "all as expected" : paint(`${failed} not as expected`, "red");
  io.out(
    cases.length === 0
      ? "the policy has no cases: write some under policyTests\n"
      : `${cases.length} case${cases.length === 1 ? "" : "s"}, ${end}\n`,
  );
  return failed === 0 ? EXIT_DONE : EXIT_FAILED;
}

function outcomeText({ verdict }: PolicyCase): string {
  const by = verdict.rules.length === 0 ? "no rule matches" : verdict.rules.join(", ");
  return `${verdict.effect} (${safe(by)})`;
}

function caseJson({ name, test, verdict, isAsExpected }: PolicyCase, place: { file: string; line: number }): object {
  const { tool, agent = "" } = test.action;
  const { file, line } = place;
  return { name, tool, agent, expect: test.expect, ...verdict, passed: isAsExpected, file, line };
}

function explain(file: string | undefined, options: Options, io: Io): number {
  const { loaded, policy } = opened(file, options, io);
  const explained = explainPolicy(policy, loaded.config.generation);
  io.out(options.json === true ? `${JSON.stringify(explained)}\n` : text(explained, painter(io)));
  return EXIT_DONE;
}

const words: Readonly<Record<Permitted["permission"], string>> = {
  always: "permitted",
  underCondition: "under condition",
  needsApproval: "needs approval",
  forbidden: "forbidden",
  never: "never permitted",
};
const colours = {
  always: "green",
  underCondition: "yellow",
  needsApproval: "yellow",
  forbidden: "red",
  never: "red",
} as const;

function text({ permissions, findings }: ExplainedPolicy, paint: Paint): string {
  const rows = permissions
    .filter((one) => one.proposed)
    .map((one) => [
      one.agent === "" ? "(people)" : safe(one.agent),
      safe(one.tool),
      one.class,
      paint(words[one.permission], colours[one.permission]),
      rulesText(one),
    ]);
  const columns = ["who", "tool", "class", "may use it", "by"].map((title) => ({ title }));
  const said = table(columns, rows, paint, "there are no tools");
  const legend = rows.some((row) => row[4]?.includes("*")) ? "* as far as its condition holds\n" : "";
  const lines = findings.map(({ rule, tool, message }) => {
    const what = rule === undefined ? `tool ${safe(tool ?? "")}` : `rule ${safe(rule)}`;
    return `${paint(what, "bold")}: ${safe(message, 400)}\n`;
  });
  return `${said}${legend}${lines.length === 0 ? "" : `\n${lines.join("")}`}`;
}

function rulesText({ rules, class: kind, permission }: Permitted): string {
  if (permission === "never") return "no rule permits it";
  const decisive = rules.filter((one) => one.effect === "forbid" && one.matches === "always");
  const of = (effect: PermittedBy["effect"], word: string): string[] => {
    const named = (permission === "forbidden" ? decisive : rules)
      .filter((one) => one.effect === effect)
      .map((one) => `${safe(one.id)}${one.matches === "always" ? "" : "*"}`);
    return named.length === 0 ? [] : [`${word}: ${named.join(", ")}`];
  };
  const parts = [...of("permit", "permit"), ...of("requireApproval", "approval"), ...of("forbid", "forbid")];
  return parts.length === 0 && kind === "notify" ? "notifications need no permit" : parts.join("; ");
}
