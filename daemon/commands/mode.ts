import { Argument, type Command } from "commander";
import { modes as modeNames } from "../../config/gateway.ts";
import type { ModesView } from "../api/act-verbs.ts";
import { EXIT_DONE, EXIT_USAGE } from "../errors.ts";
import { askAsPerson, askDaemon, type PersonOptions, personOptions } from "./ask.ts";
import { painter, safe, table } from "./format.ts";
import type { Io, RunVerb } from "./io.ts";

interface Options extends PersonOptions {
  readonly agent?: string;
  readonly tool?: string;
}

export const verb = (io: Io) => (program: Command, run: RunVerb) =>
  void personOptions(
    program
      .command("mode")
      .description("what the gateway, an agent or a tool may do; without a mode, what is set and what counts")
      .addArgument(new Argument("[mode]", "from the least to the most").choices(modeNames))
      .option("--agent <name>", "for this agent alone")
      .option("--tool <name>", "for this tool alone"),
  )
    .addHelpText(
      "after",
      `
observe: decide and record, propose nothing. dryRun: go the whole way, call no tool. approve: people are asked first.
auto: do what the policy permits. The most restrictive of gateway, agent, tool and the file's own mode counts.

Examples:
  holdfast mode
  holdfast mode dryRun
  holdfast mode approve --tool stop-pump`,
    )
    .action((mode: string | undefined, options: Options) => run(() => modeVerb(mode, options, io)));

async function modeVerb(mode: string | undefined, options: Options, io: Io): Promise<number> {
  if (options.agent !== undefined && options.tool !== undefined) {
    io.err("holdfast: give --agent or --tool, not both\n");
    return EXIT_USAGE;
  }
  const view = (
    mode === undefined
      ? await askDaemon(options, io, "modes")
      : await askAsPerson(options, io, "mode", { mode, scope: scopeOf(options) })
  ) as ModesView;
  io.out(options.json === true ? `${JSON.stringify(view)}\n` : modesText(view, options, io));
  return EXIT_DONE;
}

function scopeOf({ agent, tool }: Options): string {
  if (agent !== undefined) return `agent:${agent}`;
  return tool === undefined ? "gateway" : `tool:${tool}`;
}

function modesText(view: ModesView, options: Options, io: Io): string {
  const paint = painter(io);
  const gateway = [
    "gateway",
    view.scopes["gateway"] ?? "–",
    view.ceiling === null ? view.effective : `${view.effective} (the file allows ${view.ceiling})`,
  ];
  const line = (kind: string) => (one: ModesView["agents"][number]) => [
    `${kind} ${safe(one.name, 32)}`,
    one.mode ?? "–",
    one.on ? one.effective : paint("off", "yellow"),
  ];
  const agents = view.agents.filter(({ name }) => isAsked(name, options.agent, options.tool)).map(line("agent"));
  const tools = view.tools.filter(({ name }) => isAsked(name, options.tool, options.agent)).map(line("tool"));
  const columns = [{ title: "scope" }, { title: "set" }, { title: "counts" }];
  return table(columns, [gateway, ...agents, ...tools], paint, "");
}

/** All are shown, unless one of this kind or of the other was asked for. */
function isAsked(name: string, wanted: string | undefined, other: string | undefined): boolean {
  return wanted === undefined ? other === undefined : name === wanted;
}
