import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe } from "vitest";
import { freePort } from "../../scripts/trial/daemon.ts";

const PATHS = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/usr/local/sbin"].join(delimiter);
const isInstalled = spawnSync("mosquitto", ["-h"], { env: { ...process.env, PATH: PATHS } }).error === undefined;

if (!isInstalled) {
  const how = "mosquitto is not installed: apt-get install mosquitto";
  if (process.env.CI) throw new Error(how);
  console.warn(`${how}; tests that need it are skipped`);
}

/** Tests that talk to a real mosquitto: skipped where there is none, but never in CI. */
export const describeWithMosquitto = describe.skipIf(!isInstalled);

export interface Mosquitto {
  readonly port: number;
  readonly url: string;
  readonly directory: string;
  /** Ends it: SIGTERM lets it save its sessions, SIGKILL does not. */
  stop(signal?: "SIGTERM" | "SIGKILL"): Promise<void>;
  /** Starts it again on the same port with the same files. */
  start(): Promise<void>;
  /** Stops it and removes its files. */
  remove(): Promise<void>;
}

/** A mosquitto on a free port of loopback. `lines` are added to its configuration; %D is its directory. */
export async function startMosquitto(
  lines: readonly string[] = [],
  options: { anonymous?: boolean } = {},
): Promise<Mosquitto> {
  const port = await freePort();
  const directory = mkdtempSync(join(tmpdir(), "mosquitto-"));
  const file = join(directory, "mosquitto.conf");
  const configuration = [
    `listener ${port} 127.0.0.1`,
    `allow_anonymous ${options.anonymous ?? true}`,
    "persistence true",
    `persistence_location ${directory}/`,
    "max_queued_messages 0",
    "log_type none",
    ...(process.getuid?.() === 0 ? ["user root"] : []),
    ...lines.map((line) => line.replaceAll("%D", directory)),
  ];
  writeFileSync(file, `${configuration.join("\n")}\n`);
  let child: ChildProcess | undefined;
  const broker: Mosquitto = {
    port,
    url: `mqtt://127.0.0.1:${port}`,
    directory,
    async start() {
      child = spawn("mosquitto", ["-c", file], { stdio: "ignore", env: { ...process.env, PATH: PATHS } });
      await untilServing(port, child);
    },
    async stop(signal = "SIGTERM") {
      const running = child;
      child = undefined;
      if (running === undefined || running.exitCode !== null) return;
      const ended = new Promise((resolve) => running.once("exit", resolve));
      running.kill(signal);
      await ended;
    },
    async remove() {
      await broker.stop("SIGKILL");
      rmSync(directory, { recursive: true, force: true });
    },
  };
  await broker.start();
  return broker;
}

/** MQTT 3.1.1, a clean session, no name. */
const CONNECT = Buffer.from([0x10, 12, 0, 4, 77, 81, 84, 84, 4, 2, 0, 5, 0, 0]);
const SERVES_WITHIN_MS = 60_000;
const ANSWERS_WITHIN_MS = 5000;

/** Until it answers, be it by hanging up: the kernel connects before all listeners are there. */
async function untilServing(port: number, child: ChildProcess): Promise<void> {
  const end = Date.now() + SERVES_WITHIN_MS;
  while (Date.now() < end) {
    if (child.exitCode !== null) throw new Error(`mosquitto ended with ${child.exitCode}`);
    if (await answers(port)) return;
    await sleep(25);
  }
  throw new Error("mosquitto does not answer");
}

async function answers(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  let isConnected = false;
  const isUp = await new Promise<boolean>((resolve) => {
    socket.once("connect", () => {
      isConnected = true;
      socket.write(CONNECT);
    });
    socket.once("data", () => resolve(true));
    socket.on("error", () => undefined);
    socket.setTimeout(ANSWERS_WITHIN_MS, () => resolve(false));
    socket.once("close", () => resolve(isConnected));
  });
  socket.destroy();
  return isUp;
}
