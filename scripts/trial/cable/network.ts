import { type ChildProcess, execFile, spawn, spawnSync } from "node:child_process";
import { readlinkSync } from "node:fs";
import { connect } from "node:net";
import { promisify } from "node:util";
import { becomes } from "../claims.ts";

const run = promisify(execFile);
const PATIENCE_MS = 1500;

/** Addresses that documents may use; they are seen in the trial's own network alone. */
export const NEAR = "192.0.2.1";
export const FAR = "192.0.2.2";

/**
 * What a command has to be put behind to have a network of its own; undefined: nobody lets us. Without being root it takes
 * a kernel that lets anybody make a user namespace.
 */
export function ownNetwork(): readonly string[] | undefined {
  const ways = [
    ["unshare", "--net"],
    ["unshare", "--user", "--map-current-user", "--keep-caps", "--net"],
  ];
  return ways.find(
    ([command = "", ...args]) => spawnSync(command, [...args, "ip", "link", "set", "lo", "up"]).status === 0,
  );
}

/** How the cable comes out: the far plug, so that this end loses its carrier, or this end's interface is put down. */
export type Pull = "far plug" | "near interface";

/**
 * A cable from this process's own network to another one, which lives as long as the process that holds it. Both networks
 * go when their last process ends, so that nothing is left of them.
 */
export class Cable {
  readonly #holder: ChildProcess;
  readonly #out = new Set<Pull>();

  private constructor(holder: ChildProcess) {
    this.#holder = holder;
  }

  static async lay(): Promise<Cable> {
    // Ends with its input, so with this process, however that ends.
    const holder = spawn("unshare", ["--net", "cat"], { stdio: ["pipe", "ignore", "ignore"] });
    const cable = new Cable(holder);
    const own = readlinkSync("/proc/self/ns/net");
    const isApart = (): boolean => readlinkSync(`/proc/${holder.pid}/ns/net`) !== own;
    if (!(await becomes(isApart, 5000))) throw new Error("the far side got no network of its own");
    await ip("link", "set", "lo", "up");
    await ip("link", "add", "near", "type", "veth", "peer", "name", "far", "netns", String(holder.pid));
    await ip("address", "add", `${NEAR}/30`, "dev", "near");
    await ip("link", "set", "near", "up");
    await cable.#far("link", "set", "lo", "up");
    await cable.#far("address", "add", `${FAR}/30`, "dev", "far");
    await cable.#far("link", "set", "far", "up");
    return cable;
  }

  /** The process whose network is the far side. */
  get holderPid(): number {
    return this.#holder.pid ?? 0;
  }

  /** What a command has to be put behind to run on the far side. */
  get farSide(): readonly string[] {
    return ["nsenter", "--target", String(this.#holder.pid), "--net"];
  }

  async pull(how: Pull): Promise<void> {
    this.#out.add(how);
    if (how === "far plug") await this.#far("link", "set", "far", "down");
    else await ip("link", "set", "near", "down");
  }

  async plugIn(): Promise<void> {
    for (const how of this.#out) {
      if (how === "far plug") await this.#far("link", "set", "far", "up");
      else await ip("link", "set", "near", "up");
    }
    this.#out.clear();
  }

  /** Whether a connection to a port of the far side comes to be. */
  async carries(port: number): Promise<boolean> {
    const socket = connect({ host: FAR, port, timeout: PATIENCE_MS });
    const isThere = await new Promise<boolean>((resolve) => {
      socket.once("connect", () => resolve(true));
      for (const event of ["error", "timeout"] as const) socket.once(event, () => resolve(false));
    });
    socket.destroy();
    return isThere;
  }

  end(): void {
    this.#holder.kill("SIGKILL");
  }

  async #far(...args: readonly string[]): Promise<void> {
    const [command = "", ...rest] = [...this.farSide, "ip", ...args];
    await run(command, rest);
  }
}

async function ip(...args: readonly string[]): Promise<void> {
  await run("ip", [...args]);
}
