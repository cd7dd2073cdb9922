import type { Command } from "commander";
import type { GatewayLine } from "../asking.ts";
import { EXIT_DONE, type Io, type RunVerb } from "./io.ts";
import { type Where, withFleet } from "./place.ts";
import { bytes, safe, table } from "./text.ts";

interface Options extends Where {
  readonly json?: boolean;
}

export const verb = (io: Io) => (program: Command, run: RunVerb) =>
  void program
    .command("gateways")
    .description("each gateway: when it was heard, what it has left, what is missing, dropped, forked")
    .option("--config <file>", "the fleet's file (default: ./holdfast-fleet.yaml)")
    .option("--json", "one JSON list")
    .addHelpText("after", "\nExample:\n  holdfast-fleet gateways --json")
    .action((options: Options) => run(() => list(options, io)));

async function list(options: Options, io: Io): Promise<number> {
  const lines = await withFleet(options, (ask) => ask("gateways", undefined));
  io.out(options.json === true ? `${JSON.stringify(lines)}\n` : text(lines));
  return EXIT_DONE;
}

function text(lines: readonly GatewayLine[]): string {
  const titles = [
    "gateway",
    "state",
    "last seen (UTC)",
    "backlog",
    "missing",
    "dropped",
    "clock",
    "today",
    "epochs",
    "look at",
  ];
  const rows = lines.map((one) => [
    one.gateway,
    one.state ?? "–",
    one.lastSeenAt?.replace("T", " ").slice(0, 19) ?? "never",
    String(one.backlog),
    String(one.missing),
    Object.entries(one.dropped)
      .map(([reason, n]) => `${n} ${safe(reason, 16)}`)
      .join(", ") || "0",
    one.clockOffsetMs === null ? "–" : `${(one.clockOffsetMs / 1000).toFixed(1)} s`,
    bytes(one.bytesToday),
    String(one.epochs),
    look(one),
  ]);
  return table(titles, rows, "no gateway was heard of yet");
}

function look({ forks, conflicts, deadLetters, refused }: GatewayLine): string {
  const words = [
    forks > 0 ? `${forks} forks: a copy, or an older state?` : "",
    conflicts > 0 ? `${conflicts} conflicts` : "",
    deadLetters > 0 ? `${deadLetters} lines that are no records` : "",
    refused > 0 ? `${refused} messages refused` : "",
  ];
  return words.filter(Boolean).join(", ");
}
