import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { becomes } from "../claims.ts";

/** Where `npm run package` puts what it makes, and what both keep between runs. */
export const PACKAGES = "dist/packages";
export const CACHE = "dist/package-cache";
/** What a gateway has of Debian besides Holdfast. */
const PARTS = ["systemd", "systemd-sysv", "dbus", "iproute2", "procps", "libpam-systemd"];
const SUITE = "bookworm";
const BOOTED = /^(?:starting|running|degraded)/;
const BOOT_MS = 120_000;
const COMMAND_MS = 600_000;
/** A whole journal. */
const MOST_SAID_BYTES = 512 * 1024 * 1024;

export const NEEDS = ["debootstrap", "systemd-nspawn", "nsenter", "dpkg-deb"];

/** Programs that are not here, of those that a booted machine needs. */
export function missingPrograms(): string[] {
  return NEEDS.filter((name) => spawnSync("sh", ["-c", `command -v ${name}`]).status !== 0);
}

/** Makes what a trial needs of Debian while there still is a network: in one of its own there is none. */
export function prepareDebian(say: (line: string) => void): void {
  if (missingPrograms().length > 0 || existsSync(join(CACHE, SUITE))) return;
  say("a fresh Debian: minutes, the first time");
  debianRoot(resolve(CACHE));
}

/** A Debian as it is freshly installed, made once and kept in `cache`; some minutes the first time. */
export function debianRoot(cache: string): string {
  const root = join(cache, SUITE);
  if (existsSync(root)) return root;
  mkdirSync(cache, { recursive: true });
  const unfinished = `${root}.unfinished`;
  rmSync(unfinished, { recursive: true, force: true });
  execFileSync("debootstrap", ["--variant=minbase", `--include=${PARTS.join(",")}`, SUITE, unfinished], {
    stdio: "ignore",
  });
  renameSync(unfinished, root);
  return root;
}

/** The package that is to be tried. */
export function newestPackage(): string | undefined {
  if (!existsSync(PACKAGES)) return undefined;
  const files = readdirSync(PACKAGES).filter((name) => name.endsWith("_amd64.deb"));
  const newest = files.sort().at(-1);
  return newest === undefined ? undefined : resolve(PACKAGES, newest);
}

export interface Said {
  readonly code: number;
  readonly out: string;
  /** With what went to its standard error. */
  readonly text: string;
}

/** A machine with systemd of its own: booted, asked, and cut from its power. */
export class Machine {
  readonly root: string;
  readonly #network: string;
  #nspawn: ChildProcess | undefined;
  #init = 0;

  /** `network`: the process whose network the machine is on. */
  constructor(root: string, network: number) {
    this.root = root;
    this.#network = `/proc/${network}/ns/net`;
  }

  /** A copy of a fresh Debian, not booted yet. */
  static fresh(from: string, root: string, network: number): Machine {
    mkdirSync(dirname(root), { recursive: true });
    execFileSync("cp", ["-a", "--reflink=auto", from, root]);
    // Or the journal is gone with the power.
    mkdirSync(join(root, "var/log/journal"), { recursive: true });
    return new Machine(root, network);
  }

  /** Resolves when systemd has started all that it starts. Throws when it does not get there. */
  async boot(more: readonly string[] = []): Promise<void> {
    const args = [
      "-q",
      "-b",
      "--register=no",
      "--keep-unit",
      "--console=read-only",
      `--network-namespace-path=${this.#network}`,
    ];
    // What its console shows, for whoever looks at a machine that was kept.
    const console = openSync(`${this.root}.console`, "a");
    this.#nspawn = spawn("systemd-nspawn", [...args, ...more, "-D", this.root], {
      stdio: ["ignore", console, console],
    });
    closeSync(console);
    const found = await becomes(() => {
      this.#init = initOf(this.#nspawn?.pid);
      return this.#init > 0 && BOOTED.test(this.try("systemctl", "is-system-running").text);
    }, BOOT_MS);
    if (!found) {
      const shown = readFileSync(`${this.root}.console`, "utf8").slice(-1000);
      throw new Error(`the machine in ${this.root} does not boot: ${shown}`);
    }
    this.try("systemctl", "is-system-running", "--wait");
  }

  /** Runs a program in the machine; whatever comes of it is the answer. */
  try(...command: readonly string[]): Said {
    const args = [
      "--target",
      String(this.#init),
      "--mount",
      "--uts",
      "--ipc",
      "--net",
      "--pid",
      "--cgroup",
      "--",
      ...command,
    ];
    const { status, stdout, stderr } = spawnSync("nsenter", args, {
      encoding: "utf8",
      timeout: COMMAND_MS,
      maxBuffer: MOST_SAID_BYTES,
    });
    return { code: status ?? -1, out: stdout, text: `${stdout}${stderr}` };
  }

  /** As `try`. Throws when it fails. */
  run(...command: readonly string[]): string {
    const { code, text } = this.try(...command);
    if (code !== 0) throw new Error(`${command.join(" ")} ended with ${code}: ${text.trim().slice(-2000)}`);
    return text;
  }

  /** A property of a unit, as systemd has it. */
  property(unit: string, name: string): string {
    return this.try("systemctl", "show", unit, `--property=${name}`, "--value").text.trim();
  }

  /** A path of the machine, seen from here. */
  path(inside: string): string {
    return join(this.root, inside);
  }

  /** The machine's first process dies, and with it all others, at once. */
  async cutPower(): Promise<void> {
    const gone = this.#gone();
    const init = initOf(this.#nspawn?.pid);
    if (init > 0) process.kill(init, "SIGKILL");
    else this.#nspawn?.kill("SIGKILL");
    await gone;
  }

  /** In order, as by a person. */
  async powerOff(): Promise<void> {
    if (this.#nspawn === undefined) return;
    const gone = this.#gone();
    this.try("systemctl", "poweroff");
    await gone;
  }

  /** However it is, it is off after this. */
  async end(): Promise<void> {
    if (this.#nspawn === undefined || this.#nspawn.exitCode !== null || this.#nspawn.signalCode !== null) return;
    await this.cutPower();
  }

  async #gone(): Promise<void> {
    const nspawn = this.#nspawn;
    if (nspawn !== undefined && nspawn.exitCode === null && nspawn.signalCode === null) await once(nspawn, "exit");
    this.#nspawn = undefined;
  }
}

/** The first process of a machine, when it is there: before that nspawn has helpers, which still are on this machine. */
function initOf(nspawn: number | undefined): number {
  try {
    const children = readFileSync(`/proc/${nspawn}/task/${nspawn}/children`, "utf8").trim().split(" ").map(Number);
    return children.find((pid) => pid > 0 && isInit(pid)) ?? 0;
  } catch {
    return 0;
  }
}

/** proc(5): its number in each namespace of processes, the innermost last; and it has become systemd. */
function isInit(pid: number): boolean {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return /^Name:\tsystemd$/m.test(status) && /^NSpid:.*\t1$/m.test(status);
}
