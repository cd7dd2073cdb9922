import type { Command } from "commander";
import { callDaemon } from "../api/control-client.ts";
import { EXIT_DONE } from "../errors.ts";
import type { Status } from "../status.ts";
import { dataDirectory, type Where } from "./data.ts";
import { bytes, count, duration, type Paint, painter, safe, table } from "./format.ts";
import type { Io, RunVerb } from "./io.ts";

export const verb = (io: Io) => (program: Command, run: RunVerb) =>
  void program
    .command("status")
    .description("what the running daemon does: ledgers, agents, models, hosts, store")
    .option("--config <file>", "the gateway's file")
    .option("--data <directory>", "its data directory")
    .option("--json", "one JSON object")
    .addHelpText("after", "\nExample:\n  holdfast status --data .holdfast --json")
    .action((options: Where & { json?: boolean }) =>
      run(async () => {
        const status = (await callDaemon({ dataDirectory: dataDirectory(options, io), verb: "status" })) as Status;
        io.out(options.json === true ? `${JSON.stringify(status)}\n` : statusText(status, io));
        return EXIT_DONE;
      }),
    );

function actionWords({ running, awaitingApproval, handoffs }: Status["actions"]): string {
  return `${count(running)} under way, ${count(awaitingApproval)} waiting for approval, ${count(handoffs)} tasks for people`;
}

/** Durations are kept by the time since the boot, which does not jump; only times that people read are at stake. */
function clockLine({ wall, trust }: Status["clock"], paint: Paint): string {
  const words = { synced: "", unknown: "nothing says that it is right", unsynced: "it is wrong" }[trust];
  return `clock       ${wall}: ${trust === "unsynced" ? paint(words, "yellow") : words}`;
}

function statusText(status: Status, io: Io): string {
  const paint = painter(io);
  const { deliveries, passes, store } = status;
  const state = status.ready ? paint("ready", "green") : paint("starting", "yellow");
  const lines = [
    `${paint("Holdfast", "bold")} ${status.version}  ${state}, up ${duration(status.uptimeSeconds * 1000)}, mode ${status.mode}${status.latched ? paint(" LATCHED", "red") : ""}`,
    ...latchLines(status, paint),
    ...attentionLines(status, paint),
    `bus         ${status.bus.address} ${status.bus.connected ? "" : paint(`not connected: ${status.bus.reason ?? "?"}`, "red")}`,
    `generation  ${status.generation.id} (${status.generation.origin}), epoch ${status.epoch}`,
    `deliveries  ${count(deliveries.total)} = ${count(deliveries.accepted)} accepted + ${count(deliveries.duplicate)} duplicate + ${count(deliveries.late)} late + ${count(deliveries.invalid)} invalid + ${count(deliveries.coalesced)} coalesced + ${count(deliveries.shed)} shed + ${count(deliveries.queued)} queued`,
    `passes      ${count(passes.opened)} opened = ${count(passes.decided)} decided + ${count(passes.inFlight)} in flight`,
    `actions     ${actionWords(status.actions)}`,
    `store       ${store.path}: ${count(store.records)} records, ${bytes(store.bytes)}, WAL ${bytes(store.walBytes)}${store.state === "ok" ? "" : paint(` ${store.state}: ${store.reason ?? ""}`, "red")}`,
  ];
  if (status.clock.trust !== "synced") lines.push(clockLine(status.clock, paint));
  for (const gap of status.gaps.slice(-5)) lines.push(`gap         ${gap.from} to ${gap.to}: ${gap.reason}`);
  const agents = table(
    [
      { title: "agent" },
      { title: "priority" },
      { title: "model" },
      { title: "keys", right: true },
      { title: "decided", right: true },
      { title: "fired", right: true },
      { title: "fallback", right: true },
      { title: "p99", right: true },
    ],
    status.agents.map((one) => [
      one.name,
      one.priority,
      one.model ?? "–",
      count(one.keys),
      count(one.decided),
      count(one.fired),
      count(one.fallbacks),
      one.p99Ms === null ? "–" : `${one.p99Ms} ms`,
    ]),
    paint,
    "no agents",
  );
  const models = table(
    [{ title: "model" }, { title: "state" }, { title: "strikes", right: true }, { title: "lane" }, { title: "digest" }],
    status.models.map((one) => [
      `${one.name} ${one.version}`,
      one.state === "ready"
        ? one.state
        : paint(`${one.state}${one.reason === undefined ? "" : `: ${one.reason}`}`, "red"),
      String(one.strikes),
      one.lane,
      one.digest.slice(0, 19),
    ]),
    paint,
    "no models",
  );
  const hosts = table(
    [{ title: "host" }, { title: "lane" }, { title: "restarts", right: true }, { title: "memory", right: true }],
    status.hosts.map((one) => [String(one.pid ?? "–"), one.lane, String(one.restarts), bytes(one.residentBytes)]),
    paint,
    "no inference hosts",
  );
  return `${lines.join("\n")}\n\n${agents}\n${models}\n${hosts}`;
}

function attentionLines({ lastGood, returned, version }: Status, paint: Paint): string[] {
  const lines = [
    ...(lastGood ? ["the configuration has mistakes, the last good one is used: holdfast check-config"] : []),
    ...(returned === null ? [] : [`${version} runs again: ${safe(returned, 240)}`]),
  ];
  return lines.map((line) => `attention   ${paint(line, "red")}`);
}

function latchLines({ latch }: Status, paint: Paint): string[] {
  if (latch === null) return [];
  const line = `latch       since ${latch.since} by ${safe(latch.by)}: ${safe(latch.why, 240)}`;
  return [line, ...(latch.reason === undefined ? [] : [paint(`            ${safe(latch.reason, 240)}`, "red")])];
}
