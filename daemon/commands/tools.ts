import type { Command } from "commander";
import { loadConfig } from "../../config/load.ts";
import type { ModesView } from "../api/act-verbs.ts";
import type { Proposed } from "../api/actions.ts";
import { ConfigInvalid, DaemonError, EXIT_DONE, EXIT_FAILED } from "../errors.ts";
import { argumentOption, askAsPerson, askDaemon, type PersonOptions, personOptions } from "./ask.ts";
import { findConfig } from "./data.ts";
import { painter, safe, table } from "./format.ts";
import type { Io, RunVerb } from "./io.ts";
import { addSwitches } from "./switches.ts";

type Given = Readonly<Record<string, string | number | boolean>>;

export const verb = (io: Io) => (program: Command, run: RunVerb) => {
  const tools = program.command("tools").description("what agents and people may use: list, on, off, use");
  personOptions(
    tools
      .command("list", { isDefault: true })
      .description("the configured tools: kind and class; with mode and switch while the daemon runs"),
  )
    .addHelpText("after", "\nExample:\n  holdfast tools")
    .action((options: PersonOptions) => run(() => list(options, io)));
  addSwitches(tools, "tool", run, io);
  personOptions(
    tools
      .command("use <tool>")
      .description("propose one use of a tool, under the same policy as rules; for operators")
      .argument("[name=value...]", "its arguments", argumentOption),
  )
    .addHelpText("after", "\nExample:\n  holdfast tools use stop-pump pump=p1\n\nExit status 1 when it was refused.")
    // Without any the library gives an empty list.
    .action((tool: string, given: Given | readonly [], options: PersonOptions) =>
      run(() => use(tool, { ...given } as Given, options, io)),
    );
};

type Line = Pick<ModesView["tools"][number], "name" | "kind" | "class"> & {
  readonly mode: string | null;
  readonly effective: string | null;
  readonly on: boolean | null;
};

async function list(options: PersonOptions, io: Io): Promise<number> {
  const lines = (await runningTools(options, io)) ?? configuredTools(options, io);
  if (options.json === true) {
    io.out(`${JSON.stringify(lines)}\n`);
    return EXIT_DONE;
  }
  const rows = lines.map((one) => [
    safe(one.name, 32),
    one.kind,
    one.class,
    one.mode ?? "–",
    one.on === null ? "not running" : one.on ? String(one.effective) : "off",
  ]);
  const columns = [{ title: "tool" }, { title: "kind" }, { title: "class" }, { title: "set" }, { title: "counts" }];
  io.out(table(columns, rows, painter(io), "no tools are configured"));
  return EXIT_DONE;
}

async function runningTools(options: PersonOptions, io: Io): Promise<readonly Line[] | undefined> {
  try {
    return ((await askDaemon(options, io, "modes")) as ModesView).tools;
  } catch (error) {
    if (error instanceof DaemonError && error.code === "NOT_RUNNING") return undefined;
    throw error;
  }
}

function configuredTools(options: PersonOptions, io: Io): readonly Line[] {
  const file = findConfig(options);
  if (file === undefined) return [];
  const loaded = loadConfig({ file, environment: io.environment });
  if (!loaded.ok) throw new ConfigInvalid(loaded.problems);
  return Object.entries(loaded.config.generation.tools).map(([name, tool]) => ({
    ...{ name, kind: tool.kind, class: tool.class },
    ...{ mode: null, effective: null, on: null },
  }));
}

/** Refused where it ends without anything having been intended. */
const REFUSED = ["denied", "suppressed", "limited", "failed", "expired"];

async function use(tool: string, given: Given, options: PersonOptions, io: Io): Promise<number> {
  const proposed = (await askAsPerson(options, io, "act", { tool, arguments: given })) as Proposed;
  const { id, state, reason } = proposed;
  io.out(
    options.json === true
      ? `${JSON.stringify(proposed)}\n`
      : `${state}${reason === undefined ? "" : `: ${safe(reason)}`} (action ${id})\n`,
  );
  return REFUSED.includes(state) ? EXIT_FAILED : EXIT_DONE;
}
