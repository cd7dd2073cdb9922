import type { Command } from "commander";
import { EXIT_DONE, EXIT_FAILED } from "../errors.ts";
import type { FleetState } from "../fleet/fleet-part.ts";
import { askDaemon } from "./ask.ts";
import type { Where } from "./data.ts";
import { age, bytes, count, duration, iso, type Paint, painter, safe } from "./format.ts";
import type { Io, RunVerb } from "./io.ts";

interface Options extends Where {
  readonly json?: boolean;
}

export const verb = (io: Io) => (program: Command, run: RunVerb) =>
  void program
    .command("link")
    .description("the connection to the fleet: since when, why not, when it is tried again, and what to do")
    .option("--config <file>", "the gateway's file")
    .option("--data <directory>", "its data directory")
    .option("--json", "one JSON object")
    .addHelpText("after", "\nExample:\n  holdfast link\n\nExit status 1 while there is no connection.")
    .action((options: Options) => run(() => link(options, io)));

async function link(options: Options, io: Io): Promise<number> {
  const told = (await askDaemon(options, io, "link")) as FleetState | null;
  if (told === null) {
    io.out(options.json === true ? "null\n" : "This gateway belongs to no fleet: its file has no `fleet`.\n");
    return EXIT_DONE;
  }
  io.out(options.json === true ? `${JSON.stringify(jsonOf(told))}\n` : text(told, painter(io)));
  return told.link.state === "connected" ? EXIT_DONE : EXIT_FAILED;
}

function jsonOf({ fleet, gateway, link: one, uplink }: FleetState) {
  return {
    ...{ state: one.state, since: iso(one.sinceMs), broker: one.broker, reason: one.reason ?? null },
    nextAttemptAt: one.nextAttemptAtMs === undefined ? null : iso(one.nextAttemptAtMs),
    ...{ rttMs: one.rttMs ?? null, bytesToday: uplink.bytes, fleet, gateway, attempts: one.attempts },
    ...{ bytesSent: one.bytesSent, bytesReceived: one.bytesReceived, identityConflict: one.identityConflict },
    uplink: {
      ...{ state: uplink.condition, backlog: uplink.backlogRows, underWay: uplink.underWay, refused: uplink.refused },
      ...{ overdraftBytes: uplink.overdraftBytes, roundTripMs: uplink.roundTripMs ?? null },
    },
  };
}

const UPLINK_WORDS: Readonly<Record<FleetState["uplink"]["condition"], string>> = {
  down: "nothing goes up",
  greeting: "waits for a collector to answer its hello",
  sending: "sends",
  probing: "the broker is there and no collector answers: asks again now and then",
};

function text({ fleet, gateway, link: one, uplink }: FleetState, paint: Paint): string {
  const now = Date.now();
  const isUp = one.state === "connected";
  const lines = [
    `${paint(one.state, isUp ? "green" : "yellow")} since ${age(one.sinceMs, now)}, to ${safe(one.broker)} as ${gateway} of the fleet ${fleet}`,
  ];
  if (one.reason !== undefined)
    lines.push(
      `why       ${safe(one.reason.words)} (${safe(one.reason.name)}${one.reason.code === undefined ? "" : `, ${one.reason.code}`})`,
      `to do     ${safe(one.reason.advice)}`,
    );
  if (one.nextAttemptAtMs !== undefined)
    lines.push(`next try  in ${duration(Math.max(0, one.nextAttemptAtMs - now))}, ${count(one.attempts)} so far`);
  if (one.identityConflict)
    lines.push(paint("Another client connects with this gateway's name: is there a copy of it?", "red"));
  lines.push(
    `uplink    ${UPLINK_WORDS[uplink.condition]}, ${count(uplink.backlogRows)} records wait, ${count(uplink.underWay)} batches under way`,
    `today     ${bytes(uplink.bytes)} up${uplink.overdraftBytes > 0 ? paint(`, ${bytes(uplink.overdraftBytes)} over the budget`, "yellow") : ""}`,
  );
  return `${lines.join("\n")}\n`;
}
