import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe } from "vitest";

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
      await untilListening(port, child);
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

/** A port that nobody listened on a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

async function untilListening(port: number, child: ChildProcess): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    if (child.exitCode !== null) throw new Error(`mosquitto ended with ${child.exitCode}`);
    const isUp = await new Promise<boolean>((resolve) => {
      const socket = connect(port, "127.0.0.1");
      socket.once("connect", () => {
        socket.destroy();
        resolve(true);
      });
      socket.once("error", () => resolve(false));
    });
    if (isUp) return;
    await sleep(25);
  }
  throw new Error("mosquitto does not listen");
}
