import { setPriority } from "node:os";
import { resolve } from "node:path";
import { type Command, InvalidArgumentError } from "commander";
import { type LoadedCandidate, loadCandidate } from "../../config/candidate.ts";
import type { Problem } from "../../config/problems.ts";
import { ConfigInvalid, DaemonError, EXIT_DONE, EXIT_FAILED } from "../errors.ts";
import type { Device } from "../generation.ts";
import { type DecisionFilter, LogReader, type PlacedDecision } from "../log-reader.ts";
import { compilePolicy } from "../policy.ts";
import { failureOf, policyCases } from "../policy-cases.ts";
import type { Candidate } from "../replay/candidate.ts";
import { type Limit, type Limits, parseLimit } from "../replay/limits.ts";
import { loggedPages, replayedKinds } from "../replay/logged-passes.ts";
import { openModels } from "../replay/open-model.ts";
import { RecordedAgents } from "../replay/recorded-agents.ts";
import { Replay } from "../replay/replay.ts";
import { type Report, reportOf } from "../replay/report.ts";
import { dataDirectory, type Where } from "./data.ts";
import { painter } from "./format.ts";
import type { Io, RunVerb } from "./io.ts";
import { createProgress } from "./progress.ts";
import { replayText } from "./replay-text.ts";
import { countOption, timeOption } from "./times.ts";

interface Options extends Where {
  readonly since: number;
  readonly until?: number;
  readonly policy: readonly string[];
  readonly agents: readonly string[];
  readonly model: readonly string[];
  readonly agent?: string;
  readonly examples: number;
  readonly json?: boolean;
  readonly maxDifference?: Limit;
  readonly maxMore?: Limit;
  readonly maxFewer?: Limit;
  readonly maxDenied?: Limit;
  readonly maxPermitted?: Limit;
}

type GivenOptions = Omit<Options, "since" | "policy" | "agents" | "model"> & Partial<Options>;

const EXAMPLES = 5;
/** Behind the daemon, which may run on the same machine. */
const NICE = 10;

const HELP = `
Examples:
  holdfast replay --since 7d --policy new-policy.yaml
  holdfast replay --since 24h --agents holdfast.yaml --agent pump-guard --max-difference 1%
  holdfast replay --since 2026-11-01 --model ./pump-anomaly-2 --json

The candidate is all that is named together; the rest is taken as it was. FILE may be a whole configuration or only the
section; agents that it does not have stay as they were. Limits are a number or a share: 20 or 1%.
Exit status 1 when a limit is exceeded or an agent can not be replayed, 78 when the candidate has mistakes.
docs/replay.md says what replay can and can not tell, and what --json prints.

Not the same: explain shows why one decision came out as it did, reproduce runs one again and compares bit by bit.`;

export const verb = (io: Io) => (program: Command, run: RunVerb) =>
  void program
    .command("replay")
    .description(
      "a candidate policy, agents or model over recorded decisions: what would have come out otherwise (explain: why one came out so)",
    )
    .option("--since <when>", "a time, or an age such as 24h, 7d (default: 7d)", timeOption)
    .option("--until <when>", "likewise", timeOption)
    .option("--policy <file>", "the candidate's policy; may be given again", collect)
    .option("--agents <file>", "the candidate's agents; may be given again", collect)
    .option("--model <folder>", "a candidate model: model.onnx and manifest.json; may be given again", collect)
    .option("--agent <name>", "only this agent's decisions")
    .option("--examples <n>", "how many of each kind to show", countOption, EXAMPLES)
    .option("--max-difference <limit>", "most decisions that may come out otherwise", limitOption)
    .option("--max-more <limit>", "most actions that may be proposed beyond the recorded ones", limitOption)
    .option("--max-fewer <limit>", "most recorded actions that may not be proposed", limitOption)
    .option("--max-denied <limit>", "most actions that the policy may newly refuse", limitOption)
    .option("--max-permitted <limit>", "most actions that the policy may newly permit without asking", limitOption)
    .option("--config <file>", "the gateway's file")
    .option("--data <directory>", "its data directory")
    .option("--json", "one JSON object")
    .addHelpText("after", HELP)
    .action((given: GivenOptions) =>
      run(() => replay({ since: timeOption("7d"), policy: [], agents: [], model: [], ...given }, io)),
    );

function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}

function limitOption(text: string): Limit {
  const limit = parseLimit(text);
  if (limit === undefined) throw new InvalidArgumentError("Give a whole number such as 20 or a share such as 1%.");
  return limit;
}

async function replay(options: Options, io: Io): Promise<number> {
  if (options.policy.length + options.agents.length + options.model.length === 0)
    throw new DaemonError("INPUT_FILE", {}, { hint: "Give --policy FILE, --agents FILE or --model DIRECTORY." });
  const directory = dataDirectory(options, io);
  const log = new LogReader(directory);
  try {
    const [newest] = await log.newest(filterOf(options, undefined), 1);
    if (newest === undefined)
      throw new DaemonError("NOTHING_TO_REPLAY", {}, { hint: "Choose another time with --since and --until." });
    const report = await reportFor(options, newest, { directory, log, io });
    io.out(options.json === true ? `${JSON.stringify(report)}\n` : replayText(report, painter(io)));
    return report.passed ? EXIT_DONE : EXIT_FAILED;
  } finally {
    log.close();
  }
}

interface Ground {
  readonly directory: string;
  readonly log: LogReader;
  readonly io: Io;
}

async function reportFor(options: Options, newest: PlacedDecision, ground: Ground): Promise<Report> {
  const recorded = new RecordedAgents(ground.directory);
  const files = candidateFiles(options, recorded, newest);
  const opened = await openModels(options.model.map((folder) => resolve(folder)));
  try {
    const candidate: Candidate = { files, models: opened.models };
    const wanted = agentsOf(options, files);
    const run = new Replay(recorded, candidate, { examples: options.examples, agents: wanted });
    prepare(run, candidate, recorded, newest);
    await overLog(run, options, wanted, newest, ground);
    run.finish();
    refuseNothing(run, opened.models);
    return reportOf(run, limitsOf(options), options.policy.length > 0, ground.io.stop.aborted);
  } finally {
    await opened.close();
  }
}

/** What was tried on nothing must not look as if it had passed. */
function refuseNothing(run: Replay, models: Candidate["models"]): void {
  const agents = [...run.agents.values()];
  if (agents.some((agent) => agent.refused.size > 0)) return;
  if (run.decisions === 0) {
    const reasons = agents.flatMap((agent) => [...agent.left.keys(), ...agent.notes]);
    throw new DaemonError(
      "NOTHING_TO_REPLAY",
      reasons.length === 0 ? {} : { reason: [...new Set(reasons)].join("; ") },
    );
  }
  const used = new Set([...run.models.values()].map((one) => one.model));
  for (const [name, model] of models) {
    if (used.has(model)) continue;
    const hint = "No decision in this time was made with a model of this name, which is the one in its manifest.";
    throw new DaemonError("NOTHING_TO_REPLAY", { model: name }, { hint });
  }
}

function candidateFiles(
  { policy, agents }: Options,
  recorded: RecordedAgents,
  { decision }: PlacedDecision,
): LoadedCandidate | undefined {
  if (policy.length + agents.length === 0) return undefined;
  const { generation } = recorded.generation(decision.generation);
  const kept = generation.files.filter((file) => !file.path.endsWith("manifest.json"));
  const loaded = loadCandidate({ agents, policy }, kept);
  if (!loaded.ok) throw new ConfigInvalid(loaded.problems);
  return loaded;
}

/** Which agents' decisions are looked at; undefined: all. A policy is about all of them. */
function agentsOf(
  { agent, policy, model }: Options,
  files: LoadedCandidate | undefined,
): ReadonlySet<string> | undefined {
  if (agent !== undefined) return new Set([agent]);
  return policy.length > 0 || model.length > 0 ? undefined : new Set(files?.agents);
}

/** Every mistake of the candidate, against the newest generation, before the log is read. */
function prepare(
  run: Replay,
  candidate: Candidate,
  recorded: RecordedAgents,
  { decision, epoch }: PlacedDecision,
): void {
  const problems: Problem[] =
    candidate.files === undefined ? [] : policyProblems(candidate.files, recorded.device(epoch));
  if (problems.length === 0)
    for (const [agent, one] of recorded.all(decision.generation, epoch)) run.prepare(agent, one, problems);
  if (problems.length > 0) throw new ConfigInvalid(problems);
}

function policyProblems({ hasPolicy, release, problemAt }: LoadedCandidate, device: Device): Problem[] {
  if (!hasPolicy) return [];
  const { policy: rules, policyTests, tools } = release;
  const problems: Problem[] = [];
  const policy = compilePolicy(rules, { device, tools, problemAt, problems });
  const cases = policy === undefined ? [] : policyCases(policy, policyTests, tools);
  for (const [index, one] of cases.entries())
    if (!one.isAsExpected) problems.push(problemAt(["policyTests", index, "expect"], failureOf(one)));
  return problems;
}

async function overLog(
  run: Replay,
  options: Options,
  wanted: ReadonlySet<string> | undefined,
  newest: PlacedDecision,
  { log, io }: Ground,
): Promise<void> {
  beNice();
  const progress = createProgress(io, "decisions", options.json === true);
  const rows = log.records(filterOf(options, wanted), replayedKinds);
  let firstN: number | undefined;
  for await (const page of loggedPages(rows)) {
    if (io.stop.aborted) break;
    await run.take(page);
    const n = page.passes.at(-1)?.n;
    if (n === undefined) continue;
    firstN ??= page.passes[0]?.n ?? n;
    progress.show(run.decisions, Math.min(1, (n - firstN + 1) / Math.max(1, newest.n - firstN + 1)));
  }
  progress.end();
}

function beNice(): void {
  try {
    setPriority(NICE);
  } catch {
    // Where a process may not be nicer, it is not.
  }
}

/** Where one agent is wanted, the others' lines need not be read. */
function filterOf({ since, until, agent }: Options, wanted: ReadonlySet<string> | undefined): DecisionFilter {
  const [only] = wanted?.size === 1 ? wanted : [agent];
  return { sinceMs: since, untilMs: until, agent: only };
}

function limitsOf(options: Options): Limits {
  const { maxDifference, maxMore, maxFewer, maxDenied, maxPermitted } = options;
  const given = {
    difference: maxDifference,
    more: maxMore,
    fewer: maxFewer,
    denied: maxDenied,
    permitted: maxPermitted,
  };
  return Object.fromEntries(Object.entries(given).filter(([, limit]) => limit !== undefined)) as Limits;
}
