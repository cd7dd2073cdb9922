import { execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { NEAR } from "../cable/network.ts";
import { becomes, type Claims, sleep } from "../claims.ts";
import { freePort } from "../daemon.ts";
import type { Machine } from "./machine.ts";
import { FILE, pumps, putDropIn, type Site, withReadings } from "./site.ts";
import { isActive, ready, status, UNIT, writeFile } from "./steps.ts";

const USER = "gateway";
const NAME = "broker.password";
const SECRET = `/etc/holdfast/credentials/${NAME}`;
const BUNDLE = "/srv/support.json.gz";
const LOOK_MS = 12_000;
const BACK_MS = 30_000;

/** The broker wants a password, which root alone can read: systemd hands it over, and it is found nowhere else. */
export async function password(site: Site, claims: Claims): Promise<void> {
  const { machine, folder } = site;
  const secret = randomBytes(18).toString("base64url");
  const broker = await lockedBroker(folder, secret);
  try {
    machine.run("sh", "-c", `umask 077; printf '%s\\n' "$1" > ${SECRET}`, "sh", secret);
    const bus = { url: `mqtt://${NEAR}:${broker.port}`, username: USER, passwordFile: NAME };
    await writeFile(machine, FILE, JSON.stringify(pumps(site, bus)));
    await nobodyGivesIt(machine, claims);
    putDropIn(site, "broker", `[Service]\nLoadCredential=${NAME}:${SECRET}\n`);
    machine.run("systemctl", "restart", UNIT);
    await ready(machine, claims, "with a credential");
    const first = await withReadings({ port: broker.port }, claims, () =>
      decides(machine, claims, "with a credential"),
    );
    isNowhere(machine, secret, claims);
    await fileIsGone(machine, claims);
    const again = "with its credential back";
    await withReadings({ port: broker.port, first: first.size }, claims, () => decides(machine, claims, again));
  } finally {
    await broker.stop();
  }
}

/** A broker that lets sensors in on loopback, and from outside only who knows the password. */
async function lockedBroker(folder: string, secret: string): Promise<{ port: number; stop: () => Promise<void> }> {
  const [file, passwords] = [join(folder, "locked.conf"), join(folder, "passwords")];
  const port = await freePort();
  execFileSync("mosquitto_passwd", ["-b", "-c", passwords, USER, secret], { stdio: "ignore" });
  chmodSync(folder, 0o755);
  chmodSync(passwords, 0o644);
  const locked = `listener ${port} ${NEAR}\nallow_anonymous false\npassword_file ${passwords}\n`;
  const open = `listener ${port} 127.0.0.1\nallow_anonymous true\n`;
  writeFileSync(file, `per_listener_settings true\n${open}${locked}persistence false\nlog_type none\n`);
  const child = spawn("mosquitto", ["-c", file], {
    stdio: "ignore",
    env: { ...process.env, PATH: `${process.env["PATH"]}:/usr/sbin` },
  });
  return {
    port,
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const gone = once(child, "exit");
      child.kill("SIGTERM");
      await gone;
    },
  };
}

async function decides(machine: Machine, claims: Claims, when: string): Promise<void> {
  const before = status(machine)?.passes.decided ?? 0;
  const isSo = await becomes(() => (status(machine)?.passes.decided ?? 0) > before + 100, BACK_MS);
  claims.holds(isSo, `${when} nothing is decided`);
}

/** Named in the file, but no drop-in hands it over: said so by name. */
async function nobodyGivesIt(machine: Machine, claims: Claims): Promise<void> {
  machine.try("systemctl", "restart", UNIT);
  const text = machine.property(UNIT, "StatusText");
  const said = journal(machine, 20);
  claims.figure(
    "a credential that nobody hands over: systemctl status shows",
    text || machine.property(UNIT, "Result"),
  );
  claims.holds(said.includes(NAME), `the journal does not name the credential that is missing: ${said.slice(-600)}`);
}

/** The secret is in none of the places that somebody reads or sends on. */
function isNowhere(machine: Machine, secret: string, claims: Claims): void {
  const pid = machine.property(UNIT, "MainPID");
  machine.run("holdfast", "support-bundle", "--out", BUNDLE);
  const places: Readonly<Record<string, string>> = {
    "the journal": machine.run("journalctl", "--no-pager", "-o", "export"),
    "holdfast status": machine.run("holdfast", "status", "--json"),
    "the configuration in use": machine.run("holdfast", "config", "effective", "--config", FILE),
    "systemctl show": machine.run("systemctl", "show", UNIT),
    "the support bundle": gunzipSync(readFileSync(machine.path(BUNDLE))).toString(),
    "the environment": machine.run("cat", `/proc/${pid}/environ`),
    "the command line": machine.run("cat", `/proc/${pid}/cmdline`),
    "the data directory": machine.try("grep", "-rlF", secret, "/var/lib/holdfast").out,
  };
  for (const [place, text] of Object.entries(places))
    claims.holds(!text.includes(secret), `the password is in ${place}`);
  claims.holds(places["the data directory"] === "", `the password is in ${places["the data directory"]}`);
  const environment = places["the environment"]?.includes("CREDENTIALS_DIRECTORY=") === true;
  claims.holds(environment, "what was looked into is not the daemon's environment");
  claims.figure("places that were searched for the password; that have it", `${Object.keys(places).length}; 0`);
}

/** The file of root's is gone: systemd says which, tries again without haste, and all is well when it is back. */
async function fileIsGone(machine: Machine, claims: Claims): Promise<void> {
  machine.run("mv", SECRET, `${SECRET}.away`);
  machine.try("systemctl", "restart", UNIT);
  const before = Number(machine.property(UNIT, "NRestarts"));
  await sleep(LOOK_MS);
  const tries = Number(machine.property(UNIT, "NRestarts")) - before;
  const said = journal(machine, 12);
  const line = said.split("\n").find((one) => /credential/i.test(one)) ?? "";
  claims.holds(line !== "" && !isActive(machine), `without the file nothing speaks of a credential: ${said}`);
  claims.holds(tries > 0 && tries <= LOOK_MS / 1000, `without the file it was started ${tries} times in ${LOOK_MS} ms`);
  claims.figure(`the credential's file is gone: tries in ${LOOK_MS / 1000} s; systemd says`, `${tries}; ${line}`);
  machine.run("mv", `${SECRET}.away`, SECRET);
  claims.holds(await becomes(() => isActive(machine), BACK_MS), "with the file back it does not start by itself");
}

function journal(machine: Machine, lines: number): string {
  return machine.try("journalctl", "-u", UNIT, "-n", String(lines), "-o", "cat", "--no-pager").text;
}
