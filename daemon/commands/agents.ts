import type { Command } from "commander";
import { loadConfig } from "../../config/load.ts";
import { callDaemon } from "../api/control-client.ts";
import { bundledExample } from "../assets.ts";
import { ConfigInvalid, DaemonError, EXIT_DONE } from "../errors.ts";
import type { AgentStatus, Status } from "../status.ts";
import { dataDirectory, findConfig, type Where } from "./data.ts";
import { count, painter, safe, table } from "./format.ts";
import type { Io, RunVerb } from "./io.ts";

interface Options extends Where {
  readonly json?: boolean;
}

export const verb = (io: Io) => (program: Command, run: RunVerb) =>
  void program
    .command("agents")
    .description("the configured agents: sources, model, rules; with their counts while the daemon runs")
    .option("--config <file>", "the gateway's file")
    .option("--data <directory>", "its data directory")
    .option("--json", "a JSON list")
    .addHelpText("after", "\nExample:\n  holdfast agents --config holdfast.yaml")
    .action((options: Options) => run(() => agents(options, io)));

async function agents(options: Options, io: Io): Promise<number> {
  const file = findConfig(options) ?? (options.data === undefined ? bundledExample() : undefined);
  const running = await runningAgents(options, io);
  const loaded = file === undefined ? undefined : loadConfig({ file, environment: io.environment });
  if (loaded !== undefined && !loaded.ok) throw new ConfigInvalid(loaded.problems);
  const configured = loaded?.ok === true ? loaded.config.generation.agents : {};
  const names = [...new Set([...Object.keys(configured), ...running.map((one) => one.name)])];
  const list = names.map((name) => {
    const config = configured[name];
    const live = running.find((one) => one.name === name);
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
        { title: "state" },
      ],
      rows,
      painter(io),
      "no agents are configured",
    ),
  );
  return EXIT_DONE;
}

async function runningAgents(options: Options, io: Io): Promise<readonly AgentStatus[]> {
  try {
    return ((await callDaemon({ dataDirectory: dataDirectory(options, io), verb: "status" })) as Status).agents;
  } catch (error) {
    if (error instanceof DaemonError && error.code === "NOT_RUNNING") return [];
    throw error;
  }
}
