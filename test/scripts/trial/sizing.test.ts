import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { setups } from "../../../scripts/trial/sizing/configurations.ts";
import { parseDisk, parseProcesses, SHOW_PROCESSES } from "../../../scripts/trial/sizing/counters.ts";
import { figuresOf } from "../../../scripts/trial/sizing/figures.ts";
import type { Look } from "../../../scripts/trial/sizing/meter.ts";

const CARD = fileURLToPath(new URL("../../../config/examples/flash-card/holdfast.yaml", import.meta.url));

test("a process is read as the kernel shows it, also one with blanks and parentheses in its name", () => {
  const stat = `7 (a) b (c) S 3 ${"0 ".repeat(9)}250 50 4 6 20 0`;
  const text = `== 7 node main.js \n${stat}\nrchar: 1\nwrite_bytes: 8192\ncancelled_write_bytes: 4096\nPss:  2048 kB\nvoluntary_ctxt_switches:\t5\nvoluntary_ctxt_switches:\t6\n`;
  expect(parseProcesses(text)).toEqual([
    {
      ...{ pid: 7, parent: 3, command: "node main.js", ticks: 300, endedTicks: 10 },
      ...{ writeBytes: 8192, pssBytes: 2_097_152, waits: 11 },
    },
  ]);
});

test("what the script shows of this very process is read", () => {
  const { stdout } = spawnSync("sh", ["-c", SHOW_PROCESSES, "sh", String(process.pid)], { encoding: "utf8" });
  const [own] = parseProcesses(stdout);
  expect(own).toMatchObject({ pid: process.pid, parent: process.ppid });
  expect(own?.ticks).toBeGreaterThan(0);
  expect(own?.pssBytes).toBeGreaterThan(1_000_000);
});

test("a disk's statistics give bytes of sectors, writes and flushes", () => {
  expect(parseDisk("  1 0 2 3 40 5 16 7 0 8 9 0 0 0 0 12 13\n")).toEqual({
    writes: 40,
    writtenBytes: 8192,
    flushes: 12,
  });
});

test("figures are differences by their own times, and what nobody can say is null", () => {
  const one = {
    pid: 1,
    parent: 0,
    command: "",
    ticks: 0,
    endedTicks: 0,
    writeBytes: 0,
    pssBytes: 104_857_600,
    waits: 0,
  };
  const disk = { writtenBytes: 0, writes: 0, flushes: 0 };
  const before: Look = {
    atMs: 0,
    daemon: one,
    hosts: [one],
    journal: one,
    disk,
    logBytes: 0,
    decided: 5,
    decidedAtMs: 0,
  };
  const after: Look = {
    ...before,
    ...{ atMs: 10_000, decidedAtMs: 8000, decided: 805, logBytes: 800_000 },
    daemon: { ...one, ticks: 50, endedTicks: 10, writeBytes: 1000, waits: 20 },
    disk: { writtenBytes: 8_000_000, writes: 1, flushes: 30 },
  };
  expect(figuresOf(before, after)).toMatchObject({
    ...{ seconds: 10, decisionsPerSecond: 100, daemonCpu: 5, endedCpu: 1, hostsCpu: 0, pssMb: 200, daemonPssMb: 100 },
    ...{ diskBytesPerSecond: 800_000, diskBytesPerDecision: 10_000, flushesPerSecond: 3, logBytesPerDecision: 1000 },
    ...{ processBytesPerSecond: 100, waitsPerSecond: 2, logMbPerDay: 6592, daysInDefaultBudget: 0.1 },
  });
  expect(figuresOf(before, { ...before, atMs: 1000, decidedAtMs: 1000 })).toMatchObject({
    ...{ logBytesPerDecision: null, diskBytesPerDecision: null, daysInDefaultBudget: null },
  });
});

test("the row for cards is measured with what its example sets", () => {
  const card = setups({ kind: "external", url: "mqtt://127.0.0.1:1" }, "/model", CARD).at(-1);
  expect(card?.config).toMatchObject({
    store: { commitDelayMs: 1000, directory: "/var/lib/holdfast" },
    log: { level: "warn" },
    agents: {
      window: {
        priority: "monitor",
        window: { durability: "checkpoint", checkpointSeconds: 60 },
        record: { quiet: "sample", probability: 0.01 },
      },
    },
  });
});
