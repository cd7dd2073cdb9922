import { join } from "node:path";
import type { Command } from "commander";
import { Library } from "../../models/library.ts";
import { runOnce } from "../../models/one-model.ts";
import type { InputRow } from "../../models/tensors.ts";
import type { Decision } from "../../sync/records.ts";
import { bundledModels } from "../assets.ts";
import { childPath } from "../children.ts";
import { asksClear } from "../decide.ts";
import { DaemonError, EXIT_DONE, EXIT_FAILED } from "../errors.ts";
import { seenBy } from "../explain.ts";
import { Expressions } from "../expressions.ts";
import { LogReader, type PlacedDecision } from "../log-reader.ts";
import { type PastAgent, pastAgent } from "../past.ts";
import { dataDirectory, type Where } from "./data.ts";
import { painter } from "./format.ts";
import type { Io, RunVerb } from "./io.ts";

interface Options extends Where {
  readonly json?: boolean;
}

interface Comparison {
  readonly what: string;
  readonly recorded: unknown;
  readonly again: unknown;
  readonly same: boolean;
}

export const verb = (io: Io) => (program: Command, run: RunVerb) =>
  void program
    .command("reproduce <id>")
    .description(
      "run a recorded decision again in a fresh host and compare bit by bit (explain shows why it came out so)",
    )
    .option("--config <file>", "the gateway's file")
    .option("--data <directory>", "its data directory")
    .option("--json", "one JSON object")
    .addHelpText(
      "after",
      "\nExample:\n  holdfast reproduce 0190f3c2-7d1e-7a31-8f0e-2b6c9d5a4e11\n\nExit status 1 when something differs.",
    )
    .action((id: string, options: Options) => run(() => reproduce(id, options, io)));

async function reproduce(id: string, options: Options, io: Io): Promise<number> {
  const directory = dataDirectory(options, io);
  const log = new LogReader(directory);
  let placed: PlacedDecision;
  try {
    placed = await log.byId(id);
  } finally {
    log.close();
  }
  const { decision } = placed;
  if (decision.source !== "answer" && decision.source !== "none")
    throw new DaemonError(
      "NOT_REPRODUCIBLE",
      { source: decision.source, reason: decision.reason },
      { hint: "There was no answer; holdfast explain shows what is known." },
    );
  const past = pastAgent(directory, placed);
  const compared = [...(await answers(decision, past, directory)), ...conditions(decision, past)];
  const same = compared.every((one) => one.same);
  if (options.json === true) io.out(`${JSON.stringify({ id, same, compared })}\n`);
  else {
    const paint = painter(io);
    for (const one of compared)
      io.out(
        `${one.same ? paint("same   ", "green") : paint("differs", "red")}  ${one.what}: ${JSON.stringify(one.recorded)}${one.same ? "" : ` recorded, ${JSON.stringify(one.again)} now`}\n`,
      );
    io.out(same ? `Decision ${id} came out the same, bit for bit.\n` : `Decision ${id} did not come out the same.\n`);
  }
  return same ? EXIT_DONE : EXIT_FAILED;
}

async function answers(decision: Decision, past: PastAgent, dataDirectory: string): Promise<Comparison[]> {
  const { manifest } = past;
  if (manifest === undefined) return [];
  const library = new Library(join(dataDirectory, "models"), bundledModels());
  const model = await library.find({ name: manifest.name, version: manifest.version, digest: manifest.digest });
  if (model === undefined)
    throw new DaemonError(
      "NOT_REPRODUCIBLE",
      { model: `${manifest.name} ${manifest.version}`, digest: manifest.digest },
      { hint: "The model is not in the library any more: holdfast models add it again." },
    );
  const row = past.plan.inputs.map((input) => decision.inputs[input.name]) as InputRow;
  const again = await runOnce(model.directory, row, decision.batch ?? 1, { hostPath: childPath("models/host/main") });
  return Object.entries(decision.answer ?? {}).map(([name, recorded]) => ({
    what: `answer.${name}`,
    recorded,
    again: again[name],
    same: isSame(recorded, again[name]),
  }));
}

/** Numbers as they are, without tolerance: JSON's shortest form of a double is exact both ways. */
function isSame(a: unknown, b: unknown): boolean {
  if (Array.isArray(a) && Array.isArray(b))
    return a.length === b.length && a.every((value, at) => Object.is(value, b[at]));
  return Object.is(a, b);
}

/** Whether each rule's condition, asked again over what it saw, fits what the rule said. */
function conditions(decision: Decision, past: PastAgent): Comparison[] {
  const expressions = new Expressions(past.declarations);
  return past.plan.config.rules.flatMap((rule) => {
    const outcome = decision.rules.find((one) => one.id === rule.id);
    if (outcome === undefined || outcome.why.startsWith("error")) return [];
    const seen = seenBy(rule.id, decision as Parameters<typeof seenBy>[1], past.declarations);
    const timing = {
      forMs: rule.forSeconds * 1000,
      cooldownMs: rule.cooldownSeconds * 1000,
      hasClear: rule.clearWhen !== undefined,
      keepsLastFired: false,
      countsPasses: false,
    };
    const asked = asksClear(timing, {
      sinceBootMs: null,
      lastFiredBootMs: null,
      passes: 0,
      failing: false,
      firing: seen.state.firing,
    })
      ? "clearWhen"
      : "when";
    const compiled = expressions.compile(
      asked === "clearWhen" ? (rule.clearWhen ?? rule.when) : rule.when,
      "condition",
    );
    if (!compiled.ok) return [];
    expressions.bind(seen.pass, seen.answer, seen.nowMs);
    expressions.bindState(seen.state);
    const again = compiled.expression.test();
    const recorded = conditionOf(outcome.why, asked);
    return [{ what: `rule ${rule.id}, ${asked}`, recorded, again, same: recorded === again }];
  });
}

/** What the condition must have been for a rule to say this. */
function conditionOf(why: string, asked: "when" | "clearWhen"): boolean {
  if (asked === "clearWhen") return why === "cleared";
  return why !== "condition false" && why !== "cleared";
}
