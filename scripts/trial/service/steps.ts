import { becomes, type Claims, sleep } from "../claims.ts";
import type { Machine } from "./machine.ts";

export const UNIT = "holdfast.service";
const READY_MS = 90_000;
const DECIDED_MS = 120_000;
const STOP_LIMIT_SECONDS = 20;
const BACK_LIMIT_SECONDS = 5;
const WATCHDOG_SECONDS = 6;

export const seconds = (since: number): number => Math.round((performance.now() - since) / 100) / 10;

export const isActive = (machine: Machine): boolean => machine.property(UNIT, "ActiveState") === "active";
const mainPid = (machine: Machine): string => machine.property(UNIT, "MainPID");

export async function ready(machine: Machine, claims: Claims, when: string): Promise<boolean> {
  const isReady = await becomes(() => isActive(machine), READY_MS);
  const why = isReady ? "" : machine.try("journalctl", "-u", UNIT, "-n", "15", "-o", "cat", "--no-pager").text;
  claims.holds(isReady, `the service is not active ${when}: ${why}`);
  return isReady;
}

interface Shown {
  readonly version: string;
  readonly passes: { readonly decided: number };
  readonly lastGood: boolean;
  readonly latched: boolean;
  readonly clock: { readonly wall: string; readonly trust: string };
}

export function status(machine: Machine): Shown | undefined {
  const { code, out } = machine.try("holdfast", "status", "--json");
  return code === 0 ? (JSON.parse(out) as Shown) : undefined;
}

/** The package goes on as a technician puts it on; how long until it is ready and until it has decided. */
export async function install(machine: Machine, deb: string, claims: Claims): Promise<void> {
  const began = performance.now();
  machine.run("dpkg", "-i", deb);
  claims.figure("dpkg -i took", `${seconds(began)} s`);
  await ready(machine, claims, "after dpkg -i");
  claims.figure("from dpkg -i until the service was ready", `${seconds(began)} s`);
  const decided = await becomes(() => (status(machine)?.passes.decided ?? 0) > 0, DECIDED_MS);
  claims.holds(decided, "the package as it comes decides nothing");
  claims.figure("from dpkg -i to the first decision (its window has to be half full: 15 s)", `${seconds(began)} s`);
  const lines = machine.run("systemd-analyze", "security", UNIT, "--no-pager").trim().split("\n");
  const exposure = /level for [^:]+: ([\d.]+)/.exec(lines.at(-1) ?? "")?.[1];
  claims.figure("systemd-analyze security", exposure ?? "not told");
  claims.holds(Number(exposure) <= 1.5, `systemd-analyze security says ${exposure}, and 1.5 is the most`);
  const text = machine.property(UNIT, "StatusText");
  claims.figure("systemctl status shows", text);
  claims.holds(text.includes("mode observe"), `a fresh gateway does not observe: ${text}`);
}

/** An orderly stop, and a start after it. */
export async function stopAndStart(machine: Machine, claims: Claims): Promise<void> {
  const began = performance.now();
  machine.run("systemctl", "stop", UNIT);
  const took = seconds(began);
  claims.figure("systemctl stop took", `${took} s`);
  claims.holds(took <= STOP_LIMIT_SECONDS, `systemctl stop took ${took} s`);
  const result = machine.property(UNIT, "Result");
  claims.holds(result === "success", `the stop ended as ${result}`);
  machine.run("systemctl", "start", UNIT);
  await ready(machine, claims, "after systemctl start");
}

/** Killed outright: the service manager has it back soon. */
export async function killed(machine: Machine, claims: Claims, times: number): Promise<void> {
  const took: number[] = [];
  for (let at = 0; at < times; at++) {
    const before = mainPid(machine);
    const began = performance.now();
    machine.run("kill", "-9", before);
    await becomes(() => isActive(machine) && mainPid(machine) !== before && mainPid(machine) !== "0", READY_MS);
    took.push(seconds(began));
    await ready(machine, claims, "after kill -9");
  }
  claims.figure(`ready again after kill -9 (${times} times), in s`, took.join(", "));
  const longest = Math.max(...took);
  claims.holds(longest <= BACK_LIMIT_SECONDS, `ready again only ${longest} s after kill -9`);
}

/** The watchdog ends a daemon that hangs, and none whose inference host hangs. */
export async function watchdog(machine: Machine, claims: Claims): Promise<void> {
  const folder = `/run/systemd/system/${UNIT}.d`;
  machine.run(
    "sh",
    "-c",
    `mkdir -p ${folder} && printf '[Service]\\nWatchdogSec=${WATCHDOG_SECONDS}\\n' > ${folder}/trial.conf`,
  );
  machine.run("systemctl", "daemon-reload");
  machine.run("systemctl", "restart", UNIT);
  if (!(await ready(machine, claims, "with a short watchdog"))) return;
  const daemon = mainPid(machine);
  const hosts = machine.try("pgrep", "-P", daemon, "-f", "models/host/main").text.trim().split("\n").filter(Boolean);
  claims.holds(hosts.length > 0, "the daemon has no inference host that could hang");
  for (const host of hosts) machine.run("kill", "-STOP", host);
  await sleep(WATCHDOG_SECONDS * 3 * 1000);
  claims.holds(
    mainPid(machine) === daemon && isActive(machine),
    "the watchdog ended a daemon whose inference host hung",
  );
  const restarts = Number(machine.property(UNIT, "NRestarts"));
  const began = performance.now();
  machine.run("kill", "-STOP", daemon);
  const isBack = await becomes(() => isActive(machine) && ![daemon, "0"].includes(mainPid(machine)), READY_MS);
  claims.holds(isBack, "a daemon that hangs is not ended by the watchdog");
  claims.figure(
    `watchdog of ${WATCHDOG_SECONDS} s: a hanging host; a hanging daemon`,
    `goes on; another one is ready after ${seconds(began)} s (restarts ${restarts} → ${machine.property(UNIT, "NRestarts")})`,
  );
  machine.run("rm", "-r", folder);
  machine.run("systemctl", "daemon-reload");
  machine.run("systemctl", "restart", UNIT);
  await ready(machine, claims, "with its own watchdog again");
}

/** A typo, and then the power goes: it comes up with what worked last, and says so. */
export async function typo(machine: Machine, claims: Claims, file: string): Promise<void> {
  const good = machine.run("cat", file);
  machine.run("sh", "-c", `echo 'agents: [' >> ${file}`);
  await machine.cutPower();
  await machine.boot();
  if (await ready(machine, claims, "after a typo and a power cut")) {
    claims.holds(status(machine)?.lastGood === true, "after a typo it does not say that it uses the last good file");
    claims.figure("after a typo and a power cut, systemctl status shows", machine.property(UNIT, "StatusText"));
  }
  // Without one that worked: not started over and over.
  machine.run("systemctl", "stop", UNIT);
  machine.run("mv", "/var/lib/holdfast/last-good", "/var/lib/last-good");
  machine.try("systemctl", "start", UNIT);
  const [code, state] = [machine.property(UNIT, "ExecMainStatus"), machine.property(UNIT, "ActiveState")];
  claims.holds(code === "78" && state === "failed", `without a last good file it ends with ${code} and is ${state}`);
  machine.run("mv", "/var/lib/last-good", "/var/lib/holdfast/last-good");
  await writeFile(machine, file, good);
  machine.run("systemctl", "restart", UNIT);
  await ready(machine, claims, "with its file mended");
}

/** As an administrator does, keeping owner and rights. */
export async function writeFile(machine: Machine, file: string, text: string): Promise<void> {
  machine.run("sh", "-c", `printf '%s' "$1" > ${file}`, "sh", text);
}
