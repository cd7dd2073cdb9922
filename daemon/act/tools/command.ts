import { type ChildProcessByStdio, spawn } from "node:child_process";
import type { Readable } from "node:stream";
import type { GatewayConfig } from "../../../config/gateway.ts";
import type { ToolConfig } from "../../../config/tools.ts";
import type { Gate, Sent, Tool, ToolCall } from "../tool.ts";
import { fillArgv } from "./argv.ts";
import { type Cut, oneTry, refused, stopped, unknown } from "./one-try.ts";
import { drained, type Output, takeOutput } from "./output.ts";
import { endGroup, killGroup } from "./process-group.ts";
import { folderMistake, programMistake } from "./program-file.ts";

export type CommandConfig = Extract<ToolConfig, { kind: "command" }>;
type Program = GatewayConfig["programs"][string];
type Child = ChildProcessByStdio<null, Readable, Readable>;

export interface CommandDeps {
  readonly programs: Readonly<Record<string, Program>>;
}

const LAST_OUTPUT_MS = 250;
const LONGEST_REASON = 200;

/**
 * A program of this gateway: no shell, an empty environment, a process group of its own. Acknowledged: it ended with 0.
 * With its end, or the try's, its whole group is ended; a process that leaves the group (setsid) can not be found again
 * without control groups, and goes on.
 */
export function createCommandTool(config: CommandConfig, deps: CommandDeps): Tool {
  const program = deps.programs[config.program];
  return {
    send: async (call, gate, signal) => {
      if (program === undefined) return refused(`there is no program "${config.program}"`);
      return await oneTry(call.timeoutMs, signal, (end) => run(program, call, gate, end));
    },
  };
}

function run(program: Program, call: ToolCall, gate: Gate, end: (sent: Sent) => void): (why: Cut) => void {
  const child = begin(program, call, gate);
  if ("kind" in child) {
    end(child);
    return () => {};
  }
  const group = child.pid;
  if (group === undefined) {
    child.once("error", (error) => end(refused(spawnWords(error))));
    return () => {};
  }
  const said = takeOutput(child.stdout);
  const complained = takeOutput(child.stderr);
  const isOver = async (kill: Promise<boolean>): Promise<boolean> => {
    const isGone = await kill;
    await drained([child.stdout, child.stderr], LAST_OUTPUT_MS);
    return isGone;
  };
  let isCut = false;
  child.once("error", () => {}); // a signal that did not reach it
  child.once("exit", (code, signal) => {
    // What it left behind in its group ends with it.
    if (!isCut) void isOver(killGroup(group)).then(() => end(judge(code, signal, said, complained)));
  });
  return (why) => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    isCut = true;
    void isOver(endGroup(group)).then((isGone) => end(unknown(isGone ? why : `${why}, and it can not be ended`)));
  };
}

function begin(program: Program, call: ToolCall, gate: Gate): Child | Sent {
  const { path, workingDirectory = "/" } = program;
  let filled: ReturnType<typeof fillArgv>;
  try {
    filled = fillArgv(program.arguments, call.arguments);
  } catch (error) {
    return refused((error as Error).message);
  }
  if (!filled.ok) return refused(filled.reason);
  const mistake = programMistake(path) ?? folderMistake(workingDirectory);
  if (mistake !== undefined) return refused(mistake);
  if (!gate()) return stopped;
  try {
    return spawn(path, filled.argv, {
      cwd: workingDirectory,
      env: {},
      shell: false,
      // A session and a process group of its own.
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
    });
  } catch (error) {
    return refused(spawnWords(error as Error));
  }
}

function judge(code: number | null, signal: string | null, said: Output, complained: Output): Sent {
  // It may have done all, half or nothing of what it was to do.
  if (code === null) return unknown(`ended by ${signal}`);
  if (code === 0) return { kind: "acknowledged", detail: { exitCode: 0, output: said.text() } };
  const line = (complained.text().split("\n", 1)[0] ?? "").trim().slice(0, LONGEST_REASON);
  const reason = line === "" ? `exit ${code}` : `exit ${code}: ${line}`;
  return { kind: "failed", left: true, reason, permanent: true };
}

function spawnWords(error: Error): string {
  return `it can not be started: ${(error as NodeJS.ErrnoException).code ?? error.message}`;
}
