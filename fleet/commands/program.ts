import { Command, CommanderError } from "commander";
import { version } from "../version.ts";
import { EXIT_DONE, EXIT_USAGE, type Io, type RunVerb } from "./io.ts";

type VerbFile = { readonly verb: (io: Io) => (program: Command, run: RunVerb) => void };

/** The verbs in the order in which --help shows them; only the one that was asked for is loaded. */
const files: Readonly<Record<string, () => Promise<VerbFile>>> = {
  serve: () => import("./serve.ts"),
  gateways: () => import("./gateways.ts"),
  decisions: () => import("./decisions.ts"),
  gaps: () => import("./gaps.ts"),
  command: () => import("./command.ts"),
  "support-bundle": () => import("./support-bundle.ts"),
  import: () => import("./import.ts"),
  key: () => import("./key.ts"),
  init: () => import("./init.ts"),
  enroll: () => import("./enroll.ts"),
  sign: () => import("./sign.ts"),
  revoke: () => import("./revoke.ts"),
  acl: () => import("./acl.ts"),
};

/** Parses the arguments and runs one verb. Resolves with the exit status: 0 done, 1 failed, 2 usage. */
export async function program(args: readonly string[], io: Io): Promise<number> {
  let status = EXIT_DONE;
  const root = new Command("holdfast-fleet");
  root
    .description("The fleet's end: stores what gateways send, and shows it.")
    .version(version(), "-V, --version")
    .exitOverride()
    .configureOutput({ writeOut: io.out, writeErr: io.err })
    .showHelpAfterError("(holdfast-fleet --help lists the verbs)")
    .showSuggestionAfterError(true);
  const run: RunVerb = async (work) => {
    status = await work();
  };
  const asked = args[0] ?? "";
  const one = Object.hasOwn(files, asked) ? files[asked] : undefined;
  const loaded = await Promise.all((one === undefined ? Object.values(files) : [one]).map((load) => load()));
  for (const { verb } of loaded) verb(io)(root, run);
  try {
    await root.parseAsync([...args], { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 || error.code === "commander.help" ? EXIT_DONE : EXIT_USAGE;
  }
  return status;
}
