import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { BareOptions } from "./bare/main.ts";
import { type HoldfastSetup, holdfastConfig, TOPIC } from "./holdfast-config.ts";
import { HIGH } from "./templates.ts";

export type ProgramName = "bare" | "holdfast";

export interface ProgramOptions extends HoldfastSetup {
  readonly name: ProgramName;
  /** Empty; holds the databases. */
  readonly folder: string;
  /** Where the commit clock writes. */
  readonly commitsFile: string;
  readonly profileFolder: string | undefined;
  /** Flags of Node for Holdfast, to try what they do. */
  readonly nodeFlags: readonly string[];
}

/** A program under test, ready for messages. */
export interface Program {
  readonly pid: number;
  readonly database: string;
  readonly dataFolder: string;
  isRunning(): boolean;
  /** SIGTERM, then its end; an exit code other than 0 is an error. */
  stop(): Promise<void>;
  kill(): void;
}

const compiled = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

export async function startProgram(options: ProgramOptions): Promise<Program> {
  const dataFolder = join(options.folder, "data");
  mkdirSync(dataFolder, { recursive: true });
  const args = options.name === "bare" ? bareArguments(options, dataFolder) : holdfastArguments(options, dataFolder);
  const preload = ["./commit-clock.js", ...(options.profileFolder === undefined ? [] : ["./profiler.js"])];
  const imports = preload.map((name) => `--import=${new URL(name, import.meta.url).href}`);
  const child = spawn(process.execPath, args, {
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      ...process.env,
      NODE_OPTIONS: imports.join(" "),
      BENCH_COMMITS: options.commitsFile,
      BENCH_PROFILES: options.profileFolder,
    },
  });
  const gone = once(child, "exit") as Promise<[number | null, string | null]>;
  const last: string[] = [];
  const keep = (text: string): void => {
    last.push(text);
    if (last.length > 20) last.shift();
  };
  createInterface({ input: child.stderr }).on("line", keep);
  const ready = new Promise<void>((resolve, reject) => {
    createInterface({ input: child.stdout }).on("line", (text) => {
      keep(text);
      if (text.includes('"event":"ready"')) resolve();
    });
    void gone.then(([code, signal]) =>
      reject(new Error(`${options.name} ended (${code ?? signal}) before it was ready\n${last.join("\n")}`)),
    );
  });
  await ready;
  return {
    pid: child.pid as number,
    database: join(dataFolder, "records.db"),
    dataFolder,
    kill: () => void child.kill("SIGKILL"),
    isRunning: () => child.exitCode === null && child.signalCode === null,
    stop: async () => {
      child.kill("SIGTERM");
      const [code, signal] = await gone;
      if (code !== 0) throw new Error(`${options.name} ended with ${code ?? signal}\n${last.join("\n")}`);
    },
  };
}

function bareArguments(options: ProgramOptions, dataFolder: string): string[] {
  const bare: BareOptions = {
    url: `mqtt://127.0.0.1:${options.port}`,
    topic: TOPIC,
    qos: options.qos,
    model: join(options.model.folder, "model.onnx"),
    database: join(dataFolder, "records.db"),
    fields: options.model.features.map((feature) => feature.name),
    ...(options.acts ? { openFrom: HIGH } : {}),
  };
  return [compiled("./bare/main.js"), JSON.stringify(bare)];
}

function holdfastArguments(options: ProgramOptions, dataFolder: string): string[] {
  const file = join(options.folder, "holdfast.yaml");
  writeFileSync(file, JSON.stringify(holdfastConfig(options), null, 1));
  // As its first line and the service start it.
  return [
    "--max-semi-space-size=4",
    ...options.nodeFlags,
    compiled("../../daemon/main.js"),
    "run",
    "--config",
    file,
    "--data",
    dataFolder,
  ];
}
