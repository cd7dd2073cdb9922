import type { Command } from "commander";
import { loadConfig } from "../../config/load.ts";
import type { ModesView } from "../api/act-verbs.ts";
import { bundledExample } from "../assets.ts";
import { ConfigInvalid, DaemonError, EXIT_DONE } from "../errors.ts";
import type { AgentStatus, Status } from "../status.ts";
import { askDaemon } from "./ask.ts";
import { findConfig, type Where } from "./data.ts";
import { count, painter, safe, table } from "./format.ts";
import type { Io, RunVerb } from "./io.ts";
import { addSwitches } from "./switches.ts";

interface Options extends Where {
  readonly json?: boolean;
}

export const verb = (io: Io) => (program: Command, run: RunVerb) => {
  const parent = program.command("agents").description("the configured agents: list, on, off");
  parent
    .command("list", { isDefault: true })
    .description("sources, model, rules; with counts, mode and switch while the daemon runs")
    .option("--config <file>", "the gateway's file")
    .option("--data <directory>", "its data directory")
    .option("--json", "a JSON list")
    .addHelpText("after", "\nExample:\n  holdfast agents --config holdfast.yaml")
    .action((options: Options) => run(() => agents(options, io)));
  addSwitches(parent, "agent", run, io);
};

async function agents(options: Options, io: Io): Promise<number> {
  const file = findConfig(options) ?? (options.data === undefined ? bundledExample() : undefined);
  const { running, views } = await runningAgents(options, io);
  const loaded = file === undefined ? undefined : loadConfig({ file, environment: io.environment });
  if (loaded !== undefined && !loaded.ok) throw new ConfigInvalid(loaded.problems);
  const configured = loaded?.ok === true ? loaded.config.generation.agents : {};
  const names = [...new Set([...Object.keys(configured), ...running.map((one) => one.name)])];
  const list = names.map((name) => {
    const config = configured[name];
    const live = running.find((one) => one.name === name);
    const view = views.find((one) => one.name === name);
    return {
      name,
      enabled: config?.enabled ?? true,
      priority: config?.priority ?? live?.priority ?? null,
      sources:
        config?.sources.map((source) =>
          source.kind === "mqtt"
            ? source.topic
            : source.kind === "schedule"
              ? `schedule ${source.cron}`
              : `vitals each ${source.everySeconds} s`,
        ) ?? [],
      model: config?.model ?? live?.model ?? null,
      rules: config?.rules.map((rule) => rule.id) ?? [],
      mode: view?.effective ?? null,
      on: view?.on ?? null,
      running: live ?? null,
    };
  });
  if (options.json === true) {
    io.out(`${JSON.stringify(list)}\n`);
    return EXIT_DONE;
  }
  const rows = list.map((one) => [
    safe(one.name, 24),
    one.enabled ? String(one.priority) : "disabled",
    safe(one.sources.join(", "), 48),
    one.model ?? "–",
    safe(one.rules.join(", "), 40),
    one.on === false ? "off" : (one.mode ?? "–"),
    one.running === null ? "not running" : `${count(one.running.decided)} decided`,
  ]);
  io.out(
    table(
      [
        { title: "agent" },
        { title: "priority" },
        { title: "sources" },
        { title: "model" },
        { title: "rules" },
        { title: "mode" },
        { title: "state" },
      ],
      rows,
      painter(io),
      "no agents are configured",
    ),
  );
  return EXIT_DONE;
}

interface Running {
  readonly running: readonly AgentStatus[];
  readonly views: ModesView["agents"];
}

async function runningAgents(options: Options, io: Io): Promise<Running> {
  try {
    const { agents: running } = (await askDaemon(options, io, "status")) as Status;
    return { running, views: ((await askDaemon(options, io, "modes")) as ModesView).agents };
  } catch (error) {
    if (error instanceof DaemonError && error.code === "NOT_RUNNING") return { running: [], views: [] };
    throw error;
  }
}
