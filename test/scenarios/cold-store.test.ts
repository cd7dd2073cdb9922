import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterEach, expect, test } from "vitest";
import type { ActionLine } from "../../daemon/act/action-line.ts";
import { childPath } from "../../daemon/children.ts";
import { createFaults } from "../../daemon/simulate/faults.ts";
import type { ReceivedSummary } from "../../daemon/simulate/received.ts";
import { freePort, holdfast, type RunningDaemon, startDaemon, temporaryFolder } from "../../scripts/trial/daemon.ts";
import { sensor, until } from "../support/bus.ts";

const EXAMPLE = fileURLToPath(new URL("../../config/examples/cold-store/holdfast.yaml", import.meta.url));
const LONGEST_MS = 400_000;
const ON_TIME_MS = 60_000;
/** Heat and wear a hundred times as fast as in a real plant, and rules that wait for seconds instead of half a minute. */
const SPEED = 100;
const QUICKER = [
  ["{ everySeconds: 2 }", "{ everySeconds: 1 }"],
  ["forSeconds: 15", "forSeconds: 1"],
  ["forSeconds: 22", "forSeconds: 2"],
  ["withinSeconds: 8", "withinSeconds: 3"],
] as const;

interface Line {
  readonly at: string;
  readonly kind: string;
  readonly connected?: boolean;
  readonly device?: string;
  readonly text?: string;
  readonly _id?: string;
}

let daemon: RunningDaemon | undefined;
let plant: ChildProcess | undefined;
const folder = temporaryFolder("cold-store");
afterEach(async () => {
  plant?.kill("SIGKILL");
  await daemon?.kill();
  rmSync(folder, { recursive: true, force: true });
});

/** A story in which the freezer's door lies when it is told to close, and its alarm works. */
function storySeed(): number {
  for (let seed = 1; ; seed += 1) {
    const faults = createFaults(seed, "some");
    if (faults.ofCommand("freezer door", 1) === "lies" && faults.ofCommand("freezer alarm", 1) === undefined)
      return seed;
  }
}

function startPlant(port: number): { readonly lines: Line[]; end(): Promise<ReceivedSummary> } {
  const args = ["simulate", "cold-store", "--json", "--url", `mqtt://127.0.0.1:${port}`, "--faults", "some"];
  const more = ["--speed", String(SPEED), "--seed", String(storySeed())];
  const child = spawn(process.execPath, [childPath("daemon/main"), ...args, ...more], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  plant = child;
  const lines: Line[] = [];
  createInterface({ input: child.stdout }).on("line", (text) => lines.push(JSON.parse(text) as Line));
  return {
    lines,
    async end() {
      const gone = once(child, "close");
      child.kill("SIGINT");
      expect(await gone).toEqual([0, null]);
      return lines.find(({ kind }) => kind === "sums") as unknown as ReceivedSummary;
    },
  };
}

test("a cold store is acted on once, looked at again, and stopped by a person", { timeout: LONGEST_MS }, async () => {
  const port = await freePort();
  const config = join(folder, "holdfast.yaml");
  const data = join(folder, "data");
  const quicker = QUICKER.reduce((text, [slow, quick]) => text.replaceAll(slow, quick), readFileSync(EXAMPLE, "utf8"));
  writeFileSync(config, quicker.replace("port: 1883", `port: ${port}`));
  daemon = await startDaemon(config, data);
  holdfast(["mode", "auto", "--data", data]);
  const actions = (): ActionLine[] =>
    holdfast(["actions", "--json", "--data", data])
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as ActionLine);
  const { lines, end } = startPlant(port);
  const commands = () => lines.filter(({ kind }) => kind === "command");
  const isOver = (tool: string): boolean => actions().some((one) => one.tool === tool && one.final);

  await until("alarm and door were tried", () => isOver("sound-alarm") && isOver("close-door"), ON_TIME_MS);
  const door = actions().find(({ tool }) => tool === "close-door");
  expect(door).toMatchObject({ state: "unverified", arguments: { room: "freezer" }, attempt: 1 });
  expect(actions().find(({ tool }) => tool === "sound-alarm")).toMatchObject({ state: "verified" });

  const told = JSON.parse(holdfast(["stop", "a test", "--json", "--data", data])) as Record<string, unknown>;
  expect(told).toMatchObject({ stopped: true, how: "daemon" });
  // What left before the stop reaches the plant before this does, which it does not understand.
  const hand = await sensor(daemon.bus);
  await hand.publishAsync("cold-store/compressors/dock-1/command", '{"cmd":"mark"}', { qos: 1 });
  await hand.endAsync(true);
  const afterMark = (): Line[] | undefined => {
    const at = lines.findIndex(({ kind }) => kind === "notUnderstood");
    return at < 0 ? undefined : lines.slice(at);
  };
  const isSuppressed = ({ reason }: ActionLine): boolean => reason === "latched";
  await until("something was held back", () => actions().some(isSuppressed), ON_TIME_MS);
  await until("the mark", () => afterMark() !== undefined);
  expect(afterMark()?.filter(({ kind }) => kind === "command")).toEqual([]);

  await daemon.kill();
  daemon = await startDaemon(config, data);
  await until("the plant is back on the bus", () => lines.some(({ connected }) => connected === true));
  expect(await daemon.status()).toMatchObject({ latched: true });
  holdfast(["release", "--data", data, "--nonce", String(told["nonce"])]);
  const releasedAt = Date.now();
  await until("it acts again", () => commands().some(({ at }) => Date.parse(at) > releasedAt), ON_TIME_MS);

  const sums = await end();
  const all = actions();
  expect(sums).toMatchObject({ commands: commands().length, withoutId: 0, notUnderstood: 1 });
  // What reached the actuators, by their own count: each belongs to an action, and only idempotent tools come again.
  const byKey = new Map(all.map((one) => [one.idempotencyKey, one]));
  for (const { _id } of commands()) expect(byKey.get(_id ?? "")).toMatchObject({ class: "reversible" });
  for (const { id, times } of sums.repeated) {
    expect(["stop-compressor", "sound-alarm"]).toContain(byKey.get(id)?.tool);
    expect(times).toBeLessThanOrEqual(byKey.get(id)?.attempt ?? 0);
  }
  expect(JSON.parse(holdfast(["audit", "verify", "--json", "--data", data]))).toMatchObject({ ok: true });
  expect(await daemon.stop()).toBe(0);
});
