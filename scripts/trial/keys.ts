import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { becomes, Claims, ledgersBalance, megabytes } from "./claims.ts";
import { freePort, holdfast, type RunningDaemon, residentBytes, startDaemon, temporaryFolder } from "./daemon.ts";
import { busOf, countersIn } from "./fixtures.ts";
import { Sensor } from "./sensor.ts";
import type { Trial } from "./trial.ts";

const ALLOWED = 10_000;
const KEYS = 100_000;
const IN_FLIGHT = 256;
const WAIT_MS = 120_000;
/** What more keys than are allowed may cost beyond what the allowed ones took. */
const MOST_GROWTH_BYTES = 48 * 1_048_576;

/** Agents by name: what they share is that each forgets the key that was silent longest. */
const agents = {
  plain: {},
  checkpoint: { window: "checkpoint", features: { level: "mean(level)" } },
  journal: { window: "journal", features: { level: "mean(level)" } },
} as const;

/** Ten times as many keys as an agent allows: memory stays, and each key that was forgotten is counted. */
export const trial: Trial = async (options) => {
  const claims = new Claims(options.say);
  const keys = options.rounds ?? KEYS;
  const allowed = Math.min(ALLOWED, Math.floor(keys / 10));
  for (const name of Object.keys(agents) as (keyof typeof agents)[]) {
    const folder = temporaryFolder("keys");
    const port = await freePort();
    const config = join(folder, "holdfast.yaml");
    const data = join(folder, "data");
    writeFileSync(config, JSON.stringify(configOf(name, port, allowed)));
    const daemon = await startDaemon(config, data);
    try {
      await manyKeys({ name, port, daemon, allowed, keys, claims });
      await keepsNewest({ name, config, data, allowed, keys, claims, daemon });
    } finally {
      await daemon.kill();
      if (!options.keep) rmSync(folder, { recursive: true, force: true });
    }
  }
  return claims.result();
};

function configOf(name: keyof typeof agents, port: number, maxKeys: number): object {
  const agent = agents[name];
  const isWindowed = "window" in agent;
  const value = isWindowed ? "features.level" : "event.fields.level";
  return {
    schemaVersion: 1,
    bus: busOf("embedded", port),
    agents: {
      [name]: {
        sources: [{ kind: "mqtt", topic: "tank/{tank}", key: "tank", format: "scalar", fields: { level: {} } }],
        ...(isWindowed
          ? { window: { seconds: 60, maxKeys, durability: agent.window }, features: agent.features }
          : { maxKeys }),
        // Fires for each key, so that each key has a state to forget.
        rules: [{ id: "high", when: `${value} > 0.0`, cooldownSeconds: 3600 }],
      },
    },
  };
}

interface Run {
  readonly name: string;
  readonly port: number;
  readonly daemon: RunningDaemon;
  readonly allowed: number;
  readonly keys: number;
  readonly claims: Claims;
}

async function manyKeys(run: Run): Promise<void> {
  const { name, port, daemon, allowed, keys, claims } = run;
  const sensor = await new Sensor(port, "tanks").open();
  const memory: number[] = [];
  const startedMs = performance.now();
  for (let key = 0; key < keys; key++) {
    await sensor.room(IN_FLIGHT);
    sensor.publish(`tank/t${key}`, String(1 + (key % 50)), 1);
    if (key >= allowed && key % Math.ceil(keys / 100) === 0) memory.push(residentBytes(daemon.pid));
  }
  claims.holds(await sensor.settled(WAIT_MS), `${name}: ${sensor.unacknowledged} messages were never acknowledged`);
  const seconds = (performance.now() - startedMs) / 1000;
  await becomes(async () => (await daemon.status()).passes.inFlight === 0, WAIT_MS);
  const status = await daemon.status();
  const [agent] = status.agents;
  claims.holds(ledgersBalance(status), `${name}: the ledgers do not balance`);
  claims.holds(status.deliveries.accepted === keys, `${name}: ${status.deliveries.accepted} of ${keys} were accepted`);
  claims.holds(agent?.keys === allowed, `${name}: it keeps ${agent?.keys} keys, not ${allowed}`);
  claims.holds(
    agent?.evicted === keys - allowed,
    `${name}: ${agent?.evicted} evictions were counted, not ${keys - allowed}`,
  );
  // Garbage comes and goes; what stays is the least of a while.
  const half = memory.length / 2;
  const early = Math.min(...memory.slice(0, half));
  const late = Math.min(...memory.slice(half));
  claims.figure(
    `${name}: keys sent, kept, evicted`,
    `${keys}, ${agent?.keys}, ${agent?.evicted} (in ${Math.round(seconds)} s)`,
  );
  claims.figure(
    `${name}: resident memory of the daemon, MB: least in the first half, in the second half; most`,
    [early, late, Math.max(...memory)].map(megabytes).join(", "),
  );
  claims.holds(late - early < MOST_GROWTH_BYTES, `${name}: memory grew by ${megabytes(late - early)} MB`);
  sensor.close();
}

/** After a restart: the counts go on, and the keys that are left are the newest. */
async function keepsNewest(run: Omit<Run, "port"> & { readonly config: string; readonly data: string }): Promise<void> {
  const { name, config, data, allowed, keys, claims, daemon } = run;
  claims.holds((await daemon.stop()) === 0, `${name}: the daemon did not stop in order`);
  const counted = countersIn(data)[name] ?? {};
  claims.holds(counted["evicted"] === keys - allowed, `${name}: the log counts ${counted["evicted"]} evictions`);
  const again = await startDaemon(config, data);
  try {
    const kept = (await again.status()).agents[0]?.keys ?? 0;
    claims.figure(`${name}: keys after a restart`, kept);
    // Without a window a key is known by the next event; its rules' states are kept either way.
    if (name !== "plain")
      claims.holds(kept === allowed, `${name}: ${kept} of ${allowed} keys are there after a restart`);
  } finally {
    await again.stop();
  }
  const verified = JSON.parse(holdfast(["audit", "verify", "--data", data, "--json"])) as { ok: boolean };
  claims.holds(verified.ok, `${name}: the chain does not verify`);
}
