import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { toolSchema } from "../../../../config/tools.ts";
import type { Sent } from "../../../../daemon/act/tool.ts";
import { type CommandConfig, createCommandTool } from "../../../../daemon/act/tools/command.ts";
import { until } from "../../../support/bus.ts";
import { aCall, countingGate, send } from "../../../support/tool-call.ts";

const directory = mkdtempSync(join(tmpdir(), "command-"));
const at = (name: string): string => join(directory, name);
const SHORT_MS = 150;
const LONG_MS = 120_000;

afterAll(() => rmSync(directory, { recursive: true }));

/** A program as people write them, of a few lines of shell. */
function script(name: string, text: string, mode = 0o755): string {
  writeFileSync(at(name), `#!/bin/sh\n${text}\n`);
  chmodSync(at(name), mode);
  return at(name);
}

function command(path: string, args: readonly string[] = [], workingDirectory?: string) {
  const config = toolSchema.parse({ kind: "command", program: "it" }) as CommandConfig;
  const program = { path, arguments: [...args], ...(workingDirectory === undefined ? {} : { workingDirectory }) };
  return createCommandTool(config, { programs: { it: program } });
}

/** Whether a process is there and no mere entry that nobody took away yet. */
function isAlive(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    return !["Z", "X"].includes(stat.slice(stat.lastIndexOf(")") + 2)[0] ?? "");
  } catch {
    return false;
  }
}

const pidsIn = (name: string): number[] => readFileSync(at(name), "utf8").trim().split("\n").map(Number);

const echo = script("echo", `printf '%s\\0' "$#" "$@" > "${at("argv")}"`);

async function argvOf(
  templates: readonly string[],
  given: Record<string, string | number | boolean>,
): Promise<string[]> {
  rmSync(at("argv"), { force: true });
  const sent = await send(command(echo, templates), { arguments: given });
  expect(sent).toMatchObject({ kind: "acknowledged" });
  const [count, ...argv] = readFileSync(at("argv"), "utf8").split("\0").slice(0, -1);
  expect(argv).toHaveLength(Number(count));
  return argv;
}

describe("a program's arguments", () => {
  it.each([
    ["quotes", `"it's" 'so'`],
    ["newlines", "a\nb\r\nc"],
    ["a second command", "x; reboot && y | z & > /tmp/x"],
    ["substitutions", "$(reboot) `reboot` $HOME $0 %s %n"],
    ["patterns", "* ? [a-z] ~ {a,b} !x #y"],
    ["backslashes", "\\ \\n \\\\ \\0"],
    ["another place", "{other} {valve}"],
    ["unicode", "ü 漢字 🙂 \u202e\u0000".replace("\0", "")],
    ["control characters", "\x01\x1b[31m\x7f\t"],
    ["nothing", ""],
    ["spaces", "  a  b  "],
    ["a long text", "x".repeat(99_000)],
  ])("hold %s as they are, each in its place", async (_, value) => {
    const templates = ["--close", "{valve}", "--by={valve}", "{other}", "last"];
    const given = { valve: value, other: "o" };
    expect(await argvOf(templates, given)).toEqual(["--close", value, `--by=${value}`, "o", "last"]);
  });

  it("hold any text as it is", async () => {
    const text = fc.string({ unit: "binary" }).filter((one) => !one.includes("\0") && !one.startsWith("-"));
    await fc.assert(
      fc.asyncProperty(text, text, async (a, b) => {
        expect(await argvOf(["{a}", "{b}", "-x{a}{b}"], { a, b })).toEqual([a, b, `-x${a}${b}`]);
      }),
      { numRuns: 40 },
    );
  });

  it("hold numbers and yes or no as text", async () => {
    expect(await argvOf(["{a}", "{b}", "--t={c}"], { a: 4.5, b: true, c: -3 })).toEqual(["4.5", "true", "--t=-3"]);
  });

  it.each([
    ["a null character", ["{a}"], { a: "x\0y" }, "an argument has a null character"],
    ["what is no text", ["{a}"], { a: "x\ud800" }, "an argument is no well-formed text"],
    ["a megabyte", ["{a}"], { a: "x".repeat(1024 * 1024) }, "an argument is too long"],
    ["a text that is too long in bytes", ["{a}"], { a: "漢".repeat(40_000) }, "an argument is too long"],
    ["too much together", Array(11).fill("{a}"), { a: "x".repeat(99_999) }, "the arguments are too long together"],
    ["an option", ["{a}"], { a: "-rf" }, 'an argument would be an option: put "--" before it'],
    [
      "an option that begins in a place",
      ["{a}.txt"],
      { a: "--force" },
      'an argument would be an option: put "--" before it',
    ],
    [
      "an option out of two places",
      ["{a}{b}"],
      { a: "", b: "-x" },
      'an argument would be an option: put "--" before it',
    ],
    ["a negative number", ["{a}"], { a: -5 }, 'an argument would be an option: put "--" before it'],
    ["a -- of its own", ["{a}", "{b}"], { a: "--", b: "-x" }, 'an argument would be an option: put "--" before it'],
    ["less than it needs", ["{a}", "{b}"], { a: "x" }, 'there is no argument "b"'],
  ])("are not filled with %s, and the gate is not asked", async (_, templates, given, reason) => {
    const gate = countingGate();
    const sent = await send(command(echo, templates), { arguments: given as never }, gate);
    expect(sent).toEqual({ kind: "failed", left: false, permanent: true, reason });
    expect(gate.asked).toBe(0);
  });

  it("may begin with a dash after a -- that the gateway's file has", async () => {
    expect(await argvOf(["-v", "--", "{a}"], { a: "-rf" })).toEqual(["-v", "--", "-rf"]);
  });
});

describe("a program", () => {
  it("runs with an empty environment, in its folder, and in a group of its own", async () => {
    const path = script("where", `pwd; cat /proc/$$/environ; cut -d' ' -f5,6 /proc/$$/stat; echo $$`);
    const sent = await send(command(path));
    const [folder, groupAndSession, pid] = (sent as { detail: { output: string } }).detail.output.trim().split("\n");
    expect(folder).toBe("/");
    expect(groupAndSession).toBe(`${pid} ${pid}`);
    expect(await send(command(script("pwd", "pwd"), [], directory))).toMatchObject({
      detail: { output: `${directory}\n` },
    });
  });

  it("has succeeded when it ends with 0, and the beginning of its output is kept", async () => {
    const path = script("much", `head -c 10000000 /dev/zero | tr '\\0' x ; echo late >&2`);
    const sent = await send(command(path));
    expect(sent).toMatchObject({ kind: "acknowledged", detail: { exitCode: 0 } });
    expect((sent as { detail: { output: string } }).detail.output).toHaveLength(4096);
  });

  it("has failed when it ends otherwise, with the first line of what it says", async () => {
    const path = script("fails", "echo 'valve stuck' >&2; echo more >&2; exit 3");
    expect(await send(command(path))).toEqual({
      kind: "failed",
      left: true,
      permanent: true,
      reason: "exit 3: valve stuck",
    });
    expect(await send(command(script("silent", "exit 1")))).toMatchObject({ reason: "exit 1" });
  });

  it("is unknown when something else ended it", async () => {
    expect(await send(command(script("suicide", "kill -SEGV $$")))).toEqual({
      kind: "unknown",
      reason: "ended by SIGSEGV",
    });
  });

  it("does not run when the gate says no, or it was stopped before", async () => {
    const path = script("mark", `touch ${at("marked")}`);
    const gate = countingGate(false);
    expect(await send(command(path), {}, gate)).toEqual({ kind: "failed", left: false, reason: "stopped" });
    expect(gate.asked).toBe(1);
    expect(await command(path).send(aCall(), () => true, AbortSignal.abort())).toMatchObject({ reason: "stopped" });
    expect(existsSync(at("marked"))).toBe(false);
  });

  it.each([
    ["is not there", () => at("nothing"), "the program is not there"],
    ["is a folder", () => directory, "the program is not a file"],
    ["may not be executed", () => script("plain", "", 0o644), "the program's file can not be executed"],
    ["may be changed by everyone", () => script("open", "", 0o757), "the program may be changed by everyone"],
    [
      "is a link to what everyone may change",
      () => {
        symlinkSync(script("behind", "", 0o777), at("link"));
        return at("link");
      },
      "the program may be changed by everyone",
    ],
    [
      "lies where everyone may put another one",
      () => {
        mkdirSync(at("shared"));
        chmodSync(at("shared"), 0o777);
        return script("shared/it", "");
      },
      "the program may be replaced by everyone",
    ],
  ])("that %s is not run", async (_, path, reason) => {
    const gate = countingGate();
    expect(await send(command(path()), {}, gate)).toEqual({ kind: "failed", left: false, permanent: true, reason });
    expect(gate.asked).toBe(0);
  });

  it("whose folder or interpreter is not there does not run", async () => {
    const folder = await send(command(script("fine", "true"), [], at("nowhere")));
    expect(folder).toMatchObject({ left: false, permanent: true, reason: "its working directory is not there" });
    writeFileSync(at("odd"), "#!/no/such/interpreter\n", { mode: 0o755 });
    expect(await send(command(at("odd")))).toMatchObject({
      left: false,
      permanent: true,
      reason: expect.stringContaining("can not be started"),
    });
  });
});

describe("a program that means no good", () => {
  const TIMEOUT = { kind: "unknown", reason: "timeout" };
  const STOPPED = { kind: "unknown", reason: "stopped" };

  /** What becomes of a program that people stop once it has written so many lines. */
  async function brokenOff(path: string, name: string, count = 1): Promise<Sent> {
    const stop = new AbortController();
    const sent = command(path).send(aCall({ timeoutMs: LONG_MS }), () => true, stop.signal);
    const lines = (): string[] => (existsSync(at(name)) ? readFileSync(at(name), "utf8").split("\n") : []);
    await until("the program", () => lines().length > count);
    stop.abort();
    return await sent;
  }

  it("ignores the wish to end: it is made to", async () => {
    const path = script("deaf", `trap '' TERM HUP INT; echo $$ > ${at("deaf.pid")}; while :; do sleep 1; done`);
    expect(await brokenOff(path, "deaf.pid")).toEqual(STOPPED);
    expect(pidsIn("deaf.pid").some(isAlive)).toBe(false);
  });

  it("forks on and on, deaf all of them: none is left when the call is over", async () => {
    const loop = `trap '' TERM; i=0; while [ $i -lt 40 ]; do (trap '' TERM; sleep 1000) & echo $! >> ${at("fork.pids")}; i=$((i+1)); done`;
    expect(await brokenOff(script("forks", `${loop}; wait`), "fork.pids", 40)).toEqual(STOPPED);
    expect(pidsIn("fork.pids")).toHaveLength(40);
    expect(pidsIn("fork.pids").some(isAlive)).toBe(false);
  });

  it("leaves children behind and says that all is well: they end with it", async () => {
    const path = script("leaves", `sleep 1000 & echo $! > ${at("left.pid")}; (trap '' TERM; sleep 1001) & echo done`);
    expect(await send(command(path))).toMatchObject({ kind: "acknowledged", detail: { output: "done\n" } });
    expect(pidsIn("left.pid").some(isAlive)).toBe(false);
  });

  it("flees from its group with its output open: the call ends all the same", async () => {
    const path = script(
      "flees",
      `setsid sh -c 'echo $$ > ${at("fled.pid")}; exec sleep 1000' & while [ ! -s ${at("fled.pid")} ]; do :; done`,
    );
    expect(await send(command(path))).toMatchObject({ kind: "acknowledged" });
    for (const pid of pidsIn("fled.pid")) process.kill(pid, "SIGKILL");
  });

  it("prints for ever: that does not hold up the daemon, and ends with the time", async () => {
    let turns = 0;
    const counting = setInterval(() => (turns += 1), 1);
    const path = script("prints", "while :; do echo 0123456789012345678901234567890123456789; done");
    expect(await send(command(path), { timeoutMs: 500 })).toEqual(TIMEOUT);
    clearInterval(counting);
    expect(turns).toBeGreaterThan(20);
  });

  it("closes its output and goes on: its time is over too", async () => {
    const path = script("closes", "exec >&- 2>&-; sleep 1000");
    expect(await send(command(path), { timeoutMs: SHORT_MS })).toEqual(TIMEOUT);
  });

  it("waits for input: there is none", async () => {
    expect(await send(command(script("reads", "cat; exit 0")))).toMatchObject({ kind: "acknowledged" });
  });

  it("is broken off when people say stop, with all that it began", async () => {
    const path = script("long", `sleep 1000 & echo $! > ${at("long.pid")}; wait`);
    expect(await brokenOff(path, "long.pid")).toEqual(STOPPED);
    expect(pidsIn("long.pid").some(isAlive)).toBe(false);
  });
});
