import { randomBytes } from "node:crypto";
import { resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { Command } from "commander";
import { type LoadedConfig, loadConfig } from "../../config/load.ts";
import { bundledModels } from "../assets.ts";
import { openBus } from "../bus/open-bus.ts";
import { systemClock } from "../clock.ts";
import { cellTime, cellValue, readCsv } from "../csv.ts";
import { ConfigInvalid, DaemonError, EXIT_DONE } from "../errors.ts";
import { createLog } from "../log.ts";
import { openTrial, type Trial, type TrySummary } from "../trying.ts";
import { count, duration, figure, painter, time } from "./format.ts";
import type { Io, RunVerb } from "./io.ts";
import { createProgress } from "./progress.ts";
import { positiveOption } from "./times.ts";

interface Options {
  readonly config: string;
  readonly agent?: string;
  readonly csv?: string;
  readonly live?: boolean;
  readonly seconds: number;
  readonly timestamp?: string;
  readonly column: readonly string[];
  readonly key: string;
  readonly data?: string;
  readonly json?: boolean;
}

export const verb = (io: Io) => (program: Command, run: RunVerb) =>
  void program
    .command("try")
    .description(
      "run an agent over a CSV file or live messages, without a daemon, a log or effects: when would it have fired?",
    )
    .requiredOption("--config <file>", "the file with the agent")
    .option("--agent <name>", "which agent (default: the only one)")
    .option(
      "--csv <file>",
      "recorded readings with a header line; each row is offered as one message, columns are its values",
    )
    .option("--live", "instead of a file: listen on the configured bus")
    .option("--seconds <n>", "with --live: for how long", positiveOption, 30)
    .option("--timestamp <column>", "the column with the time (default: as the agent's timestamp says, else timestamp)")
    .option(
      "--column <field=column>",
      "where a field's value stands, if not in a column of its path or name",
      (value: string, before: string[]) => [...before, value],
      [],
    )
    .option("--key <key>", "the key of the readings", "try")
    .option("--data <directory>", "the data directory whose model library counts")
    .option("--json", "the summary as JSON")
    .addHelpText("after", "\nExample:\n  holdfast try --config holdfast.yaml --agent pump-guard --csv readings.csv")
    .action((options: Options) => run(() => tryAgent(options, io)));

async function tryAgent(options: Options, io: Io): Promise<number> {
  const loaded = loadConfig({ file: options.config, environment: io.environment });
  if (!loaded.ok) throw new ConfigInvalid(loaded.problems);
  if ((options.csv === undefined) === (options.live !== true))
    throw new DaemonError("INPUT_FILE", {}, { hint: "Give --csv FILE or --live." });
  const dataDirectory = resolve(options.data ?? resolve(loaded.baseDirectory, loaded.config.gateway.store.directory));
  const trial = await openTrial(
    loaded,
    options.agent,
    { dataDirectory, bundled: bundledModels() },
    createLog("error"),
    options.live === true,
  );
  try {
    if (options.csv === undefined) await live(trial, loaded, options, io);
    else await overCsv(trial, loaded, options.csv, options, io);
    const summary = trial.summary();
    io.out(options.json === true ? `${JSON.stringify(forJson(summary))}\n` : text(summary, io));
    return EXIT_DONE;
  } finally {
    await trial.close();
  }
}

async function overCsv(trial: Trial, loaded: LoadedConfig, csv: string, options: Options, io: Io): Promise<void> {
  const [topic] = trial.topics;
  if (topic === undefined)
    throw new DaemonError("INPUT_FILE", {}, { hint: "This agent has no MQTT source that a row could stand in for." });
  const filled = topic.replace(/\{\w+\}|\+/g, options.key.replace(/[+#/]/g, "_")).replace(/\/?#$/, "");
  const source = Object.values(loaded.config.generation.agents)
    .flatMap((agent) => agent.sources)
    .find((one) => one.kind === "mqtt" && one.topic === topic);
  const timeColumn = options.timestamp ?? (source?.kind === "mqtt" ? source.timestamp?.path : undefined) ?? "timestamp";
  const renames = options.column.map((one) => one.split("=", 2) as [string, string | undefined]);
  const progress = createProgress(io, "rows", options.json === true);
  let rows = 0;
  for await (const row of readCsv(csv)) {
    if (io.stop.aborted) break;
    const cells: Record<string, string> = { ...row.cells };
    for (const [field, column] of renames) cells[pathOf(source, field)] = row.cells[column ?? ""] ?? "";
    const at = cellTime(row.cells[timeColumn] ?? "");
    if (!Number.isFinite(at))
      throw new DaemonError(
        "INPUT_FILE",
        { line: row.line, column: timeColumn, found: row.cells[timeColumn] ?? "no such column" },
        { hint: "--timestamp names the column with the time." },
      );
    await trial.offer(filled, Buffer.from(payloadOf(source, cells)), at);
    rows += 1;
    progress.show(rows, row.progress);
  }
  progress.end();
}

type Source = LoadedConfig["config"]["generation"]["agents"][string]["sources"][number] | undefined;

function pathOf(source: Source, field: string): string {
  return (source?.kind === "mqtt" ? source.fields[field]?.path : undefined) ?? field;
}

/** The message that a sensor would have sent for this row: for JSON also the levels of a path. */
function payloadOf(source: Source, cells: Readonly<Record<string, string>>): string {
  if (source?.kind === "mqtt" && source.format !== "json") {
    const values = Object.values(cells);
    if (source.format === "csv")
      return (source.header ?? Object.keys(cells)).map((name) => cells[name] ?? "").join(source.separator);
    const [field] = Object.keys(source.fields);
    return cells[field ?? ""] ?? values.at(-1) ?? "";
  }
  const message: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(cells)) put(message, name.split("."), cellValue(value));
  return JSON.stringify(message);
}

function put(target: Record<string, unknown>, path: readonly string[], value: unknown): void {
  let here = target;
  for (const part of path.slice(0, -1)) {
    const next = Object.hasOwn(here, part) ? here[part] : undefined;
    const inner: Record<string, unknown> =
      typeof next === "object" && next !== null ? (next as Record<string, unknown>) : {};
    here[part] = inner;
    here = inner;
  }
  here[path.at(-1) ?? ""] = value;
}

async function live(trial: Trial, loaded: LoadedConfig, options: Options, io: Io): Promise<void> {
  const { bus } = loaded.config.gateway;
  const url =
    bus.kind === "external" ? bus.url : `mqtt://${bus.host === "0.0.0.0" ? "127.0.0.1" : bus.host}:${bus.port}`;
  const client = openBus({
    config: {
      ...(bus.kind === "external"
        ? bus
        : {
            kind: "external" as const,
            keepaliveSeconds: 30,
            maxPacketBytes: bus.maxPacketBytes,
            maxUnacknowledged: 1024,
          }),
      url,
      clientId: `holdfast-try-${randomBytes(4).toString("hex")}`,
      sessionExpirySeconds: 1,
    },
    device: "try",
    baseDirectory: loaded.baseDirectory,
    dataDirectory: undefined,
    environment: io.environment,
    log: createLog("error"),
    clock: systemClock(),
  });
  let offered = Promise.resolve();
  client.onMessage = (message) => {
    message.receipt?.release();
    const payload = Buffer.from(message.payload);
    offered = offered.then(() => trial.offer(message.topic, payload, Date.now()));
  };
  client.subscribe(
    trial.topics.map((topic) => ({ filter: topic.replace(/\{\w+\}/g, "+"), qos: 0 as const, retained: false })),
  );
  await client.start(io.stop);
  const { connected, reason } = client.status();
  if (!connected) throw new DaemonError("BROKER_UNREACHABLE", { url, reason });
  io.err(`listening on ${url} for ${duration(options.seconds * 1000)}; Ctrl-C ends it\n`);
  await pause(options.seconds * 1000, undefined, { signal: io.stop }).catch(() => undefined);
  await client.stop();
  await offered;
}

function forJson(summary: TrySummary): unknown {
  const iso = (ms: number | undefined): string | null => (ms === undefined ? null : new Date(ms).toISOString());
  return {
    ...summary,
    from: iso(summary.from),
    to: iso(summary.to),
    fired: summary.fired.map(({ rule, times }) => ({ rule, count: times.length, times: times.map(iso) })),
  };
}

const SHOWN_TIMES = 12;

function text(summary: TrySummary, io: Io): string {
  const paint = painter(io);
  const { counters } = summary;
  const part = (prefix: string): string[] =>
    Object.entries(counters)
      .filter(([name]) => name.startsWith(prefix))
      .map(([name, n]) => `${count(n)} ${name.slice(prefix.length)}`);
  const lines = [
    `${paint(summary.agent, "bold")}: ${count(summary.events)} events${summary.from === undefined || summary.to === undefined ? "" : ` from ${time(summary.from)} to ${time(summary.to)} (${duration(summary.to - summary.from)})`}`,
    `  ${count(counters["accepted"] ?? 0)} accepted, ${count(counters["late"] ?? 0)} late, ${count(counters["duplicate"] ?? 0)} duplicate, ${count(counters["invalid"] ?? 0)} invalid${part("invalid:").length > 0 ? ` (${part("invalid:").join(", ")})` : ""}`,
    `  ${count(summary.passes)} decisions${part("notOpened:").length > 0 ? `; no pass for ${part("notOpened:").join(", ")}` : ""}${part("fallback:").length > 0 ? `; fallback: ${part("fallback:").join(", ")}` : ""}`,
  ];
  for (const [name, { min, median, max }] of Object.entries(summary.answers))
    lines.push(`  answer.${name}  min ${figure(min)}  median ${figure(median)}  max ${figure(max)}`);
  if (summary.fired.length === 0) lines.push("", "The agent has no rules.");
  for (const { rule, times } of summary.fired) {
    lines.push(
      "",
      times.length === 0
        ? `rule ${paint(rule, "bold")} would not have fired`
        : `rule ${paint(rule, "bold")} would have fired ${paint(`${times.length}×`, "red")}`,
    );
    for (const at of times.slice(0, SHOWN_TIMES)) lines.push(`  ${time(at)}`);
    if (times.length > SHOWN_TIMES) lines.push(`  and ${times.length - SHOWN_TIMES} times more (--json lists all)`);
  }
  return `${lines.join("\n")}\n`;
}
