import { cpus, loadavg, release } from "node:os";
import { Command } from "commander";
import { type ActFigures, measureAct } from "./act.ts";
import { type ActPhase, type DecidePhase, isActPhase, judge, type Phase, phases, type Round } from "./bars.ts";
import { IN_FLIGHT } from "./broker.ts";
import { benchCollector } from "./collector.ts";
import { measureRun, type RunFigures, type RunOptions } from "./measure.ts";
import { type BenchModel, readModel } from "./model.ts";
import { printProfiles } from "./profile.ts";
import type { ProgramName } from "./program.ts";
import { barsText, figuresText, stepText } from "./report.ts";
import { runSoak } from "./soak.ts";

interface Options {
  readonly rounds: string;
  readonly quick?: boolean;
  readonly only: string;
  readonly qos: string;
  readonly program: string;
  readonly messages?: string;
  readonly seconds?: string;
  readonly inFlight: string;
  readonly model?: string;
  readonly profile?: string;
  readonly nodeFlags?: string;
  readonly json?: boolean;
}

const PER_SECOND = 1000;
const ACTIONS_PER_SECOND = 100;
const KEYS = 64;
const PACED_DELAY_MS = 25;

/** The ceiling and Holdfast in turns; who goes first changes with each round, so that a drift of the machine evens out. */
async function runRounds(options: Options): Promise<void> {
  const wanted = options.only.split(",");
  for (const name of wanted)
    if (!(phases as readonly string[]).includes(name))
      throw new Error(`--only knows ${phases.join(", ")}, not ${name}`);
  const model = readModel(options.model);
  const say = options.json ? console.error : console.log;
  say(machineText());
  const rounds: Round[] = [];
  for (let round = 1; round <= (options.quick ? 1 : Number(options.rounds)); round++) {
    for (const qos of options.qos.split(",").map(Number) as (0 | 1)[]) {
      rounds.push(await runRound(options, wanted as Phase[], model, qos, round, say));
    }
  }
  const verdicts = judge(rounds);
  if (options.json) console.log(JSON.stringify({ machine: machine(), options, rounds, verdicts }));
  else
    console.log(
      `\nMedians of ${options.quick ? 1 : options.rounds} rounds\n\n${figuresText(rounds)}\n\n${barsText(verdicts)}`,
    );
}

interface Step {
  readonly program: ProgramName;
  readonly phase: Phase;
}

async function runRound(
  options: Options,
  wanted: readonly Phase[],
  model: BenchModel,
  qos: 0 | 1,
  round: number,
  say: (text: string) => void,
): Promise<Round> {
  const programs: ProgramName[] = round % 2 === 1 ? ["bare", "holdfast"] : ["holdfast", "bare"];
  const steps: Step[] = phases
    .flatMap((phase) => programs.map((program) => ({ program, phase })))
    // Prompt commits are a setting of Holdfast's; the bare loop has only one way, measured as paced.
    .map((step) => (step.program === "bare" && step.phase === "prompt" ? { ...step, phase: "paced" as const } : step))
    .filter(
      (step, at, all) => all.findIndex((other) => other.program === step.program && other.phase === step.phase) === at,
    )
    .filter(
      ({ program, phase }) =>
        wanted.includes(phase) || (program === "bare" && phase === "paced" && wanted.includes("prompt")),
    )
    .filter(({ program }) => options.program.split(",").includes(program));
  const made: { bare: Runs; holdfast: Runs } = { bare: {}, holdfast: {} };
  for (const { program, phase } of steps) {
    // What is done waits for the disk whatever the sensors' QoS is, so one is enough.
    if (isActPhase(phase) && qos === 0 && options.qos !== "0") continue;
    const runOptions = optionsOf(options, model, qos, program, phase);
    const figures = isActPhase(phase) ? await measureAct(runOptions) : (await measureRun(runOptions)).figures;
    Object.assign(made[program], { [phase]: figures });
    say(stepText(round, qos, phase, figures));
  }
  return { qos, round, ...made };
}

type Runs = { [phase in DecidePhase]?: RunFigures } & { [phase in ActPhase]?: ActFigures };

/** Messages of a flood, and how long a run at an even rate takes. */
const sizes = {
  decide: { messages: 300_000, quickMessages: 60_000, seconds: 60, quickSeconds: 15 },
  act: { messages: 50_000, quickMessages: 10_000, seconds: 60, quickSeconds: 20 },
};

function optionsOf(
  options: Options,
  model: BenchModel,
  qos: 0 | 1,
  program: ProgramName,
  phase: Phase,
): Omit<RunOptions, "watch"> {
  const isFlood = phase === "flood" || phase === "act-flood";
  const size = isActPhase(phase) ? sizes.act : sizes.decide;
  const messages = Number(options.messages ?? (options.quick ? size.quickMessages : size.messages));
  const seconds = Number(options.seconds ?? (options.quick ? size.quickSeconds : size.seconds));
  const rate = isActPhase(phase) ? ACTIONS_PER_SECOND : PER_SECOND;
  return {
    program,
    qos,
    perSecond: isFlood ? 0 : rate,
    count: isFlood ? messages : seconds * rate,
    commitDelayMs: phase === "prompt" ? 0 : PACED_DELAY_MS,
    model,
    inFlight: Number(options.inFlight),
    keys: KEYS,
    profileFolder: options.profile,
    nodeFlags: options.nodeFlags?.split(" ") ?? [],
  };
}

function machine(): Record<string, unknown> {
  return { cpu: cpus()[0]?.model, cores: cpus().length, kernel: release(), node: process.version, load: loadavg()[0] };
}

function machineText(): string {
  const { cpu, cores, kernel, node } = machine();
  const busy =
    (loadavg()[0] as number) > 0.5 ? "; the machine is BUSY with other work, so trust ratios more than figures" : "";
  return `${cpu}, ${cores} cores, Linux ${kernel}, Node ${node}${busy}`;
}

// Options before a verb are the program's, after it the verb's: both have --rounds.
const program = new Command("bench")
  .description("Holdfast against the bare loop of its shape, on mosquitto")
  .enablePositionalOptions();
program
  .option("--rounds <n>", "interleaved rounds", "5")
  .option("--quick", "one round, fewer messages: for a first look, not for figures")
  .option("--only <phases>", phases.join(", "), phases.join(","))
  .option("--qos <levels>", "0, 1 or both", "0,1")
  .option("--program <names>", "bare, holdfast or both", "bare,holdfast")
  .option("--messages <n>", "messages of a flood (default 300000; 50000 where each has an effect)")
  .option("--seconds <n>", "length of a run at an even rate (default 60)")
  .option("--in-flight <n>", "the broker's max_inflight_messages and the publisher's limit", String(IN_FLIGHT))
  .option("--model <folder>", "another model than the tests' autoencoder")
  .option("--profile <folder>", "write CPU profiles of all processes and threads there")
  .option("--node-flags <flags>", "flags of Node for Holdfast, to try what they do")
  .option("--json", "all figures of all runs, for machines")
  .action(runRounds);
program
  .command("soak")
  .description("1,000 messages a second for a while: is anything growing?")
  .option("--minutes <n>", "how long", "20")
  .option("--qos <level>", "0 or 1", "1")
  .option("--model <folder>", "another model than the tests' autoencoder")
  .option("--out <folder>", "where soak.csv and soak.svg go", "docs/benchmarks")
  .action(runSoak);
program
  .command("collector")
  .description("records a second from the broker into the fleet's database, beside a bare insert of the same rows")
  .option("--rounds <n>", "interleaved rounds", "3")
  .option("--records <n>", "records a round, a multiple of 1600", "80000")
  .action(({ rounds, records }: { rounds: string; records: string }) =>
    benchCollector({ rounds: Number(rounds), records: Number(records), say: (line) => console.log(line) }),
  );
program
  .command("profile")
  .description("what the CPU profiles of a folder say, most expensive first")
  .argument("<folder>", "where --profile wrote them")
  .option("--top <n>", "how many places", "30")
  .option("--lines", "lines instead of functions")
  .action(printProfiles);
try {
  await program.parseAsync();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
