import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { callDaemon } from "../../daemon/api/control-client.ts";
import { childPath } from "../../daemon/children.ts";
import type { Status } from "../../daemon/status.ts";

/** Compiled, also when a test calls from the sources. */
const mainPath = childPath("daemon/main");

export interface LogLine {
  readonly event?: string;
  readonly msg: string;
  readonly level: string;
  readonly bus?: string;
  readonly [field: string]: unknown;
}

/** A running `holdfast run`, as a user starts it. */
export interface RunningDaemon {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly bus: string;
  readonly lines: readonly LogLine[];
  status(): Promise<Status>;
  /** SIGTERM; resolves with the exit code, when all that it said is in `lines`. */
  stop(): Promise<number | null>;
  /** kill -9; resolves when the process is gone. */
  kill(): Promise<void>;
}

/** A daemon on its way: it can be killed before it is ready. */
export interface LaunchedDaemon {
  readonly child: ChildProcess;
  /** Fails with the daemon's output when it ends instead. */
  readonly ready: Promise<RunningDaemon>;
}

/** Starts the daemon and waits for its `ready` line. Throws with its output when it ends instead. */
export async function startDaemon(
  config: string,
  data: string,
  wrapper: readonly string[] = [],
  more: readonly string[] = [],
): Promise<RunningDaemon> {
  return await launchDaemon(config, data, wrapper, more).ready;
}

export function launchDaemon(
  config: string,
  data: string,
  wrapper: readonly string[] = [],
  more: readonly string[] = [],
): LaunchedDaemon {
  const command = [...wrapper, process.execPath, mainPath, "run", "--config", config, "--data", data, ...more];
  const child = spawn(command[0] as string, command.slice(1), { stdio: ["ignore", "pipe", "pipe"] });
  const lines: LogLine[] = [];
  let errors = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    errors += chunk.toString();
  });
  // With its last line, which may come after its end.
  const gone = once(child, "close") as Promise<[number | null]>;
  const running = (bus: string): RunningDaemon => ({
    child,
    pid: child.pid as number,
    bus,
    lines,
    status: async () => (await callDaemon({ dataDirectory: data, verb: "status" })) as Status,
    stop: async () => {
      child.kill("SIGTERM");
      return (await gone)[0];
    },
    kill: async () => {
      child.kill("SIGKILL");
      await gone;
    },
  });
  const ready = new Promise<RunningDaemon>((resolve, reject) => {
    createInterface({ input: child.stdout as NodeJS.ReadableStream }).on("line", (text) => {
      const line = lineOf(text);
      lines.push(line);
      if (line.event === "ready") resolve(running(String(line.bus)));
    });
    child.once("close", (code, signal) => {
      const said = lines.map((line) => JSON.stringify(line)).join("\n");
      reject(new Error(`the daemon ended (${code ?? signal}) before it was ready\n${errors}${said}`));
    });
  });
  return { child, ready };
}

/** A line that was cut off by a kill is told as it is. */
function lineOf(text: string): LogLine {
  try {
    return JSON.parse(text) as LogLine;
  } catch {
    return { level: "cut", msg: text };
  }
}

/** Runs a verb of the command line and returns what it printed. */
export function holdfast(args: readonly string[]): string {
  return execFileSync(process.execPath, [mainPath, ...args], {
    encoding: "utf8",
    maxBuffer: 1 << 30,
    stdio: ["ignore", "pipe", "pipe"],
  });
}

export function temporaryFolder(name: string): string {
  return mkdtempSync(join(tmpdir(), `holdfast-${name}-`));
}

/** Below the ports that the kernel gives away by itself: to a connection that goes out, to a server on port 0. */
const LOWEST_PORT = 10_000;
const PORTS = 22_000;
/** Tests that run beside each other take theirs from parts that do not overlap. */
const PARTS = 8;
const drawn = new Set<number>();

/** A port that nobody listens on, and that is not given away before it is used or while its server is away. */
export async function freePort(): Promise<number> {
  const part = Number(process.env["VITEST_POOL_ID"] ?? 0) % PARTS;
  for (;;) {
    const port = LOWEST_PORT + (part * PORTS) / PARTS + randomInt(PORTS / PARTS);
    if (drawn.has(port) || !(await canListen(port))) continue;
    drawn.add(port);
    return port;
  }
}

async function canListen(port: number): Promise<boolean> {
  const server = createServer();
  return await new Promise((resolve) => {
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}

export interface Mosquitto {
  readonly url: string;
  readonly port: number;
  readonly child: ChildProcess;
  stop(): Promise<void>;
}

/** Debian's mosquitto on a free port of loopback, with sessions kept in memory. */
export async function startMosquitto(folder: string, inFlight = 20, at?: number, also?: string): Promise<Mosquitto> {
  const port = at ?? (await freePort());
  const file = join(folder, "mosquitto.conf");
  writeFileSync(
    file,
    `listener ${port} 127.0.0.1\n${also === undefined ? "" : `listener ${port} ${also}\n`}allow_anonymous true\npersistence false\nmax_inflight_messages ${inFlight}\nmax_queued_messages 0\nset_tcp_nodelay true\nlog_type none\n`,
  );
  const child = spawn("mosquitto", ["-c", file], {
    stdio: "ignore",
    env: { ...process.env, PATH: `${process.env["PATH"]}:/usr/sbin` },
  });
  await listening(port);
  return {
    url: `mqtt://127.0.0.1:${port}`,
    port,
    child,
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const gone = once(child, "exit");
      child.kill("SIGTERM");
      await gone;
    },
  };
}

/** Waits until something listens on the port: asked of the kernel, so nothing is connected for it. */
async function listening(port: number): Promise<void> {
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, "0")} 00000000:0000 0A`;
  for (let attempt = 0; attempt < 500; attempt++) {
    if (readFileSync("/proc/net/tcp", "latin1").includes(wanted)) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`nothing listens on port ${port}`);
}

/** Resident memory of a process in bytes. */
export function residentBytes(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/statm`, "latin1").split(" ")[1]) * 4096;
}
