import { Command, CommanderError } from "commander";
import { EXIT_DONE, EXIT_USAGE } from "../errors.ts";
import { version } from "../version.ts";
import type { Io, Parse, RunVerb } from "./io.ts";

/** One verb: adds itself to the program; its work is loaded only when it is called. */
type AddVerb = (program: Command, run: RunVerb, parse: Parse) => void;

/** Parses the arguments and runs one verb. Resolves with the exit status: 0 done, 1 failed, 2 usage, 78 configuration. */
export async function program(args: readonly string[], io: Io): Promise<number> {
  let status = EXIT_DONE;
  const root = new Command("holdfast");
  root
    .description("Turns sensor events into decisions on the gateway, and writes every one down.")
    .version(version(), "-V, --version")
    .exitOverride()
    .configureOutput({ writeOut: io.out, writeErr: io.err })
    .showHelpAfterError("(holdfast --help lists the verbs)")
    .showSuggestionAfterError(true);
  const run: RunVerb = async (work) => {
    status = await work();
  };
  for (const add of await verbs(args[0])) add(io)(root, run, program);
  try {
    await root.parseAsync([...args], { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 || error.code === "commander.help" ? EXIT_DONE : EXIT_USAGE;
  }
  return status;
}

type VerbFile = { readonly verb: (io: Io) => AddVerb };

/** The verbs in the order in which --help shows them. Only the one that was asked for is loaded: the daemon is small. */
const files: Readonly<Record<string, () => Promise<VerbFile>>> = {
  run: () => import("./run.ts"),
  status: () => import("./status.ts"),
  "check-config": () => import("./check-config.ts"),
  config: () => import("./config.ts"),
  stop: () => import("./stop.ts"),
  release: () => import("./release.ts"),
  mode: () => import("./mode.ts"),
  agents: () => import("./agents.ts"),
  tools: () => import("./tools.ts"),
  approvals: () => import("./approvals.ts"),
  approve: () => import("./approve.ts"),
  deny: () => import("./deny.ts"),
  handoffs: () => import("./handoffs.ts"),
  models: () => import("./models.ts"),
  policy: () => import("./policy.ts"),
  events: () => import("./events.ts"),
  try: () => import("./try.ts"),
  feed: () => import("./feed.ts"),
  simulate: () => import("./simulate.ts"),
  decisions: () => import("./decisions.ts"),
  actions: () => import("./actions.ts"),
  explain: () => import("./explain.ts"),
  reproduce: () => import("./reproduce.ts"),
  replay: () => import("./replay.ts"),
  audit: () => import("./audit.ts"),
  outbox: () => import("./outbox.ts"),
  link: () => import("./link.ts"),
  enroll: () => import("./enroll.ts"),
  backup: () => import("./backup.ts"),
  restore: () => import("./restore.ts"),
  "factory-reset": () => import("./factory-reset.ts"),
  doctor: () => import("./doctor.ts"),
  "support-bundle": () => import("./support-bundle.ts"),
  completion: () => import("./completion.ts"),
};

async function verbs(asked: string | undefined): Promise<readonly ((io: Io) => AddVerb)[]> {
  const one = asked === undefined || !Object.hasOwn(files, asked) ? undefined : files[asked];
  const loaded = await Promise.all((one === undefined ? Object.values(files) : [one]).map((load) => load()));
  return loaded.map((file) => file.verb);
}
