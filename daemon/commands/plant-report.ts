import type { Happening } from "../simulate/cold-store.ts";
import { rooms } from "../simulate/layout.ts";
import type { Plant } from "../simulate/plant.ts";
import type { ReceivedSummary } from "../simulate/received.ts";
import { type Colour, count, type Paint, safe } from "./format.ts";
import type { Io } from "./io.ts";

interface Counts {
  readonly sent: number;
  readonly acknowledged: number;
  readonly lost: number;
}

const COLOURS: Readonly<Record<Happening["kind"], Colour>> = {
  plant: "cyan",
  command: "bold",
  actuator: "green",
  sensor: "yellow",
  duplicate: "red",
  notUnderstood: "red",
};
const STATUS_EVERY_MS = 1000;

/** What a simulated plant tells: a line for each thing that happens, and on a terminal how it is, each second. */
export function createPlantReport(io: Io, paint: Paint, asJson: boolean) {
  let statusAt = 0;
  const erase = (): void => {
    if (io.terminal && !asJson) io.err("\r\u001b[K");
  };
  const line = (text: string): void => {
    erase();
    io.out(`${text}\n`);
  };
  const clock = (): string => new Date().toISOString().slice(11, 19);
  return {
    started({ url, seed, speed, faults }: { url: string; seed: number; speed: number; faults: string }): void {
      if (asJson) line(JSON.stringify({ kind: "started", plant: "cold-store", url, seed, speed, faults }));
      else line(`cold-store on ${url}, speed ${speed}, faults ${faults}, seed ${seed}; Ctrl-C ends it`);
    },
    happening({ kind, device, text, id }: Happening, elapsedMs: number): void {
      if (asJson) {
        line(
          JSON.stringify({
            at: new Date().toISOString(),
            elapsedMs,
            kind,
            device,
            text,
            ...(id === undefined ? {} : { _id: id }),
          }),
        );
        return;
      }
      const what = paint((kind === "notUnderstood" ? "unknown" : kind).padEnd(9), COLOURS[kind]);
      line(
        `${paint(clock(), "dim")}  ${what}  ${safe(device).padEnd(19)}  ${safe(text)}${id === undefined ? "" : paint(`  ${safe(id)}`, "dim")}`,
      );
    },
    connection(isConnected: boolean): void {
      const text = isConnected ? "the bus is there again" : "the bus is gone; the plant runs on, its readings are lost";
      if (asJson) line(JSON.stringify({ at: new Date().toISOString(), kind: "bus", connected: isConnected }));
      else line(`${paint(clock(), "dim")}  ${paint("bus".padEnd(9), isConnected ? "green" : "red")}  ${text}`);
    },
    status(plant: Plant): void {
      const now = performance.now();
      if (asJson || !io.terminal || now - statusAt < STATUS_EVERY_MS) return;
      statusAt = now;
      io.err(`\r\u001b[K${statusLine(plant).slice(0, Math.max(20, io.columns - 1))}`);
    },
    end(received: ReceivedSummary, counts: Counts): void {
      if (asJson) line(JSON.stringify({ kind: "sums", ...received, readings: counts }));
      else for (const text of sums(received, counts)) line(text);
    },
  };
}

export function statusLine(plant: Plant): string {
  const parts = rooms.map(({ room }) => {
    const { degC, doorPercent } = plant.rooms[room] as Plant["rooms"][string];
    const running = [1, 2].filter((n) => plant.compressors[`${room}-${n}`]?.running === true).length;
    return `${room} ${degC.toFixed(1)} °C, door ${doorPercent > 2 ? "open" : "shut"}, ${running} running`;
  });
  return [...parts, `receiver ${plant.receiver.bar.toFixed(1)} bar`].join("  |  ");
}

export function sums(received: ReceivedSummary, counts: Counts): string[] {
  const { commands, differentIds, withoutId, notUnderstood, repeated } = received;
  return [
    `${count(counts.sent)} readings sent, ${count(counts.acknowledged)} acknowledged, ${count(counts.lost)} lost`,
    `${count(commands)} commands received with ${count(differentIds)} different ids` +
      (withoutId > 0 ? `, ${count(withoutId)} without one` : "") +
      (notUnderstood > 0 ? `, ${count(notUnderstood)} more that no actuator knows` : ""),
    repeated.length === 0 ? "no id came twice" : "came more than once under one id (only idempotent tools may):",
    ...repeated.map(({ id, device, cmd, times }) => `  ${times} times  ${device}  ${cmd}  ${safe(id)}`),
  ];
}
