import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";

const MARK = "HOLDFAST_TRIAL_NETWORK";
/** Where ports stand in an IPv4 packet without options, behind the 14 bytes of a loopback frame's own header. */
const SOURCE_PORT_AT = 34;
const TARGET_PORT_AT = 36;
/** Linux' own address of a random number in a packet filter: SKF_AD_OFF + SKF_AD_RANDOM. */
const RANDOM_AT = 4_294_963_256;
const DROP = 2;
const PASS = 0;
const [LOAD_HALF, LOAD_WORD, JUMP_EQUAL, JUMP_GREATER, RETURN] = [40, 32, 21, 37, 6];

/**
 * Starts this program again in a network namespace of its own, in which packets can be lost without harm to others;
 * gives its exit status. Undefined: it is there already, or may not make one.
 */
export async function againInOwnNetwork(): Promise<number | undefined> {
  if (process.env[MARK] !== undefined || process.getuid?.() !== 0) return undefined;
  const child = spawn("unshare", ["--net", process.execPath, ...process.argv.slice(1)], {
    ...{ stdio: "inherit", env: { ...process.env, [MARK]: "own" } },
  });
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => child.kill(signal));
  const [code] = (await once(child, "exit")) as [number | null];
  return code ?? 1;
}

/** Loopback of a network namespace of our own, that can lose packets of one TCP port. */
export class OwnNetwork {
  /** Undefined where there is none. */
  static open(): OwnNetwork | undefined {
    return process.env[MARK] === "own" ? new OwnNetwork() : undefined;
  }

  private constructor() {
    ip("link", "set", "lo", "up");
    // As on a real line: packets of 1,500 bytes, not of 64 kB.
    ip("link", "set", "dev", "lo", "mtu", "1500", "gso_max_segs", "1");
    tc("qdisc", "add", "dev", "lo", "clsact");
  }

  /** From here on this share of the packets to and from the port is lost; of all other packets none. */
  lose(port: number, share: number): void {
    const above = Math.floor((1 - share) * 2 ** 32);
    const program = [
      [LOAD_HALF, 0, 0, SOURCE_PORT_AT],
      [JUMP_EQUAL, 2, 0, port],
      [LOAD_HALF, 0, 0, TARGET_PORT_AT],
      [JUMP_EQUAL, 0, 3, port],
      [LOAD_WORD, 0, 0, RANDOM_AT],
      [JUMP_GREATER, 0, 1, above],
      [RETURN, 0, 0, DROP],
      [RETURN, 0, 0, PASS],
    ];
    const text = `${program.length},${program.map((one) => one.join(" ")).join(",")}`;
    this.well();
    tc("filter", "add", "dev", "lo", "ingress", "bpf", "direct-action", "bytecode", text);
  }

  well(): void {
    tc("filter", "del", "dev", "lo", "ingress");
  }

  /** How many packets were lost so far. */
  get lost(): number {
    const all = JSON.parse(tc("-s", "-j", "qdisc", "show", "dev", "lo")) as { kind: string; drops: number }[];
    return all.find(({ kind }) => kind === "clsact")?.drops ?? 0;
  }
}

function ip(...args: string[]): void {
  execFileSync("ip", args, { stdio: "ignore" });
}

function tc(...args: string[]): string {
  return execFileSync("tc", args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}
