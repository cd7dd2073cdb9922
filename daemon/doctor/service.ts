import type { LatchReading } from "../latch-note.ts";
import type { Status } from "../status.ts";
import { type Finding, ok, problem, skipped } from "./finding.ts";
import type { Unit } from "./unit.ts";

const MANY_RESTARTS = 5;
const EXIT_CONFIGURATION = "78";

export function unitFinding(unit: Unit): Finding {
  const { LoadState: load = "", UnitFileState: file = "", LoadError: why = "", NeedDaemonReload: reload } = unit;
  const check = "service.unit";
  if (load === "not-found")
    return problem(check, "missing", { found: "no holdfast.service", expected: "the package's unit" });
  if (load === "masked") return problem(check, "masked", { found: "masked", expected: "enabled" });
  if (load !== "loaded")
    return problem(check, "broken", { found: `${load} ${why}`.trim(), expected: "a unit that loads" });
  if (file !== "enabled" && file !== "enabled-runtime")
    return problem(check, "disabled", { found: file === "" ? "no state" : file, expected: "enabled" });
  if (reload === "yes") return problem(check, "outdated", { found: "NeedDaemonReload=yes", expected: "no" });
  return ok(check, file);
}

/** Lines of `systemd-analyze verify` that are about this unit. */
export function dropInFinding(lines: readonly string[]): Finding {
  const [first] = lines;
  if (first === undefined) return ok("service.drop-in", "systemd takes every line");
  const file = /^(\/[^:\s]+)/.exec(first)?.[1] ?? "the unit";
  return problem("service.drop-in", "bad", {
    found: lines.join("; ").slice(0, 300),
    expected: "lines that systemd knows",
    values: { file },
  });
}

export function aboutUnit(said: string): readonly string[] {
  return said
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => /holdfast\.service/.test(line));
}

export function stateFinding(unit: Unit): Finding {
  const {
    ActiveState: active = "",
    SubState: sub = "",
    Result: result = "",
    ExecMainStatus: code = "0",
    StatusText: text = "",
  } = unit;
  const check = "service.state";
  const restarts = Number(unit["NRestarts"] ?? 0);
  const found = `${active} (${sub}), ${result}, last exit status ${code}, started anew ${restarts} times`;
  const expected = "active";
  if (active === "active" && restarts <= MANY_RESTARTS) return ok(check, text === "" ? "active" : text);
  if (active === "active") return problem(check, "restarted", { found, expected: `at most ${MANY_RESTARTS} times` });
  if (code === EXIT_CONFIGURATION && active === "failed")
    return problem(check, "bad-configuration", { found, expected });
  if (active === "failed" || (active === "activating" && (sub === "auto-restart" || restarts > 0)))
    return problem(check, "failed", { found, expected });
  if (active === "activating") return ok(check, "it is starting");
  return problem(check, "stopped", { found, expected });
}

export function watchdogFinding(unit: Unit): Finding {
  const { WatchdogUSec: after = "0" } = unit;
  if (after !== "0" && after !== "infinity") return ok("service.watchdog", `after ${after}`);
  return problem("service.watchdog", "off", { found: `WatchdogSec=${after}`, expected: "30 s" });
}

/** `returned`: why the version before the installed one runs; undefined: the installed one does. */
export function versionFinding(runs: string, returned: string | undefined): Finding {
  if (returned === undefined) return ok("service.version", runs);
  return problem("service.version", "returned", {
    found: `${runs} runs: ${returned}`,
    expected: "the installed version",
  });
}

/** `holder`: the process that has the lock; undefined: nobody. */
export function daemonFinding(holder: number | undefined, status: Status | undefined): Finding {
  const check = "service.daemon";
  if (status !== undefined)
    return ok(check, `version ${status.version} answers${holder === undefined ? "" : `, process ${holder}`}`);
  if (holder === undefined) return ok(check, "none runs, and the lock is free");
  const found = `process ${holder} holds the lock and does not answer`;
  return problem(check, "hangs", { found, expected: "an answer on control.sock", values: { pid: holder } });
}

/** Who holds a lock on a file: the text of /proc/locks, proc(5), and the file's device and inode. */
export function lockHolder(locks: string, device: number, inode: number): number | undefined {
  const major = ((device >> 8) & 0xfff).toString(16).padStart(2, "0");
  const minor = ((device & 0xff) | ((device >> 12) & 0xfff00)).toString(16).padStart(2, "0");
  const line = locks.split("\n").find((one) => one.includes(` WRITE `) && one.includes(` ${major}:${minor}:${inode} `));
  const pid =
    line === undefined
      ? Number.NaN
      : Number(
          line
            .trim()
            .split(/\s+/)
            .find((_word, at, words) => words[at - 1] === "WRITE"),
        );
  return Number.isInteger(pid) ? pid : undefined;
}

export function busFinding(status: Status | undefined): Finding {
  if (status === undefined) return skipped("service.bus", "no daemon answers");
  const { kind, address, connected, reason } = status.bus;
  if (connected) return ok("service.bus", `${kind}, ${address}`);
  return problem("service.bus", "disconnected", {
    subject: address,
    found: reason ?? "not connected",
    expected: "connected",
  });
}

export function modelsFinding(status: Status | undefined): Finding {
  const check = "service.models";
  if (status === undefined) return skipped(check, "no daemon answers");
  if (!status.ready) return skipped(check, "the daemon is starting");
  const out = status.models.filter(({ state }) => state !== "ready");
  if (out.length === 0) return ok(check, `${status.models.length} ready`);
  const found = out.map(({ name, state, reason }) => `${name}: ${reason ?? state}`).join("; ");
  return problem(check, "unready", { found: found.slice(0, 300), expected: "ready" });
}

/** `isUsed`: a daemon has been here, and made the file. */
export function latchFinding(reading: LatchReading, isUsed: boolean, file: string): Finding {
  const check = "service.latch";
  const expected = "effects may leave";
  if (reading.kind === "missing") {
    if (!isUsed) return skipped(check, "nothing has run here yet");
    return problem(check, "lost", { found: `${file} is missing`, expected: "a file that says so", values: { file } });
  }
  if (reading.kind === "blind") return skipped(check, `it can not be looked at just now (${reading.reason})`);
  if (reading.kind === "unreadable") {
    if (reading.reason === "EACCES") return skipped(check, "this user may not look: run doctor as root");
    return problem(check, "lost", {
      found: `${file}: ${reading.reason}`,
      expected: "a file that says so",
      values: { file },
    });
  }
  const { latched, by, at, why, nonce } = reading.note;
  if (!latched) return ok(check, expected);
  const found = `stopped by ${by} at ${new Date(at).toISOString()}: ${why}`;
  return problem(check, "set", { found, expected, values: { nonce } });
}
