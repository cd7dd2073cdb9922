import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { cpSync, existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { becomes, Claims } from "../claims.ts";
import { temporaryFolder } from "../daemon.ts";
import { CACHE, PACKAGES } from "../service/machine.ts";
import type { TrialOptions, TrialResult } from "../trial.ts";
import { emulate, foreignRoot, missingForForeign } from "./foreign.ts";

const DECISIONS = 20;
const FIRST_MS = 180_000;
const EACH_MS = 5000;
const STOP_MS = 30_000;
const FILE = "/etc/holdfast/holdfast.yaml";
/** The inference library asks /sys for caches, believes what this machine has, and ends where that fits no arm64. */
const SETUP =
  'mount -t proc none "$1/proc"; mount --rbind /sys "$1/sys"; mount --rbind /dev "$1/dev"; ' +
  'for one in "$1"/sys/devices/system/cpu/cpu*/cache; do mount -t tmpfs none "$one"; done; root=$1; shift; exec chroot "$root" "$@"';

type Options = Pick<TrialOptions, "rounds" | "keep" | "say">;

export async function inside({ rounds = DECISIONS, keep, say }: Options): Promise<TrialResult> {
  const claims = new Claims(say);
  const deb = existsSync(PACKAGES)
    ? readdirSync(PACKAGES)
        .filter((name) => name.endsWith("_arm64.deb"))
        .sort()
        .at(-1)
    : undefined;
  const missing = missingForForeign();
  if (missing.length > 0) return { figures: {}, failures: [`programs are missing: ${missing.join(", ")}`] };
  if (deb === undefined)
    return { figures: {}, failures: [`there is no package in ${PACKAGES}: npm run package -- --arch arm64`] };
  const folder = temporaryFolder("arm64");
  const takeBack = emulate();
  try {
    const root = join(folder, "root");
    execFileSync("cp", ["-a", "--reflink=auto", foreignRoot(resolve(CACHE)), root]);
    cpSync(join(PACKAGES, deb), join(root, "srv/holdfast.deb"));
    const machine = new Foreign(root);
    claims.figure("the machine", machine.run("uname", "-m").trim());
    claims.figure("installed", machine.run("dpkg", "-i", "/srv/holdfast.deb").trim().split("\n").at(-1));
    await decides(machine, rounds, claims);
  } finally {
    takeBack();
    if (!keep) rmSync(folder, { recursive: true, force: true });
  }
  return claims.result();
}

async function decides(machine: Foreign, rounds: number, claims: Claims): Promise<void> {
  const as = ["setpriv", "--reuid=holdfast", "--regid=holdfast", "--init-groups"];
  const daemon = machine.start(...as, "holdfast", "run", "--config", FILE);
  const decided = (): number => {
    const { status, stdout } = machine.ask(...as, "holdfast", "status", "--json");
    return status === 0 ? (JSON.parse(stdout) as { passes: { decided: number } }).passes.decided : 0;
  };
  const enough = await becomes(
    () => decided() >= rounds || daemon.child.exitCode !== null,
    FIRST_MS + rounds * EACH_MS,
  );
  claims.holds(enough && daemon.child.exitCode === null, `it does not decide: ${daemon.said().slice(-1500)}`);
  claims.figure("model", /"model":"([\w-]+)"[^}]*"msg":"model loaded"/.exec(daemon.said())?.[1]);
  const ended = once(daemon.child, "exit");
  process.kill(machine.pidIn("/var/lib/holdfast/lock.pid"), "SIGTERM");
  const timer = setTimeout(() => daemon.child.kill("SIGKILL"), STOP_MS);
  const [code] = (await ended) as [number | null];
  clearTimeout(timer);
  claims.holds(code === 0, `it stopped with ${code}`);
  const list = machine.run(...as, "holdfast", "decisions", "--json", "--limit", "500");
  const verified = JSON.parse(machine.run(...as, "holdfast", "audit", "verify", "--json")) as {
    ok: boolean;
    rows: number;
  };
  claims.figure("decisions in the log; rows that verify", `${list.trim().split("\n").length}; ${verified.rows}`);
  claims.holds(verified.ok, "the chain does not verify");
}

/** A root of the other kind, whose programs run in mounts of their own. */
class Foreign {
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  #words(command: readonly string[]): string[] {
    return ["--mount", "sh", "-ec", SETUP, "sh", this.#root, ...command];
  }

  ask(...command: readonly string[]): { status: number | null; stdout: string; stderr: string } {
    const env = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C", DEBIAN_FRONTEND: "noninteractive" };
    return spawnSync("unshare", this.#words(command), { encoding: "utf8", env, maxBuffer: 64_000_000 });
  }

  run(...command: readonly string[]): string {
    const { status, stdout, stderr } = this.ask(...command);
    if (status !== 0) throw new Error(`${command.join(" ")} ended with ${status}: ${stderr.slice(-2000)}`);
    return stdout;
  }

  pidIn(file: string): number {
    return Number(readFileSync(join(this.#root, file), "utf8"));
  }

  start(...command: readonly string[]): { child: ReturnType<typeof spawn>; said: () => string } {
    const env = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C" };
    const child = spawn("unshare", this.#words(command), { stdio: ["ignore", "pipe", "pipe"], env });
    let text = "";
    for (const stream of [child.stdout, child.stderr])
      stream?.on("data", (chunk: Buffer) => (text += chunk.toString()));
    return { child, said: () => text };
  }
}
