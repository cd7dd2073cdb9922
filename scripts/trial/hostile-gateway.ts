import { randomBytes } from "node:crypto";
import { rmSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { connectAsync, type MqttClient } from "mqtt";
import { encodeBatch } from "../../sync/batch.ts";
import type { BatchHeader } from "../../sync/messages.ts";
import { gatewayTopics } from "../../sync/topics.ts";
import { becomes, Claims, quantile } from "./claims.ts";
import { residentBytes, temporaryFolder } from "./daemon.ts";
import { Centre } from "./fleet/centre.ts";
import type { Trial } from "./trial.ts";

const CALM_EACH_MS = 50;
const PHASE_MS = 30_000;
const HOSTILE = 3;
const SLOWEST_MS = 2000;
const AGAIN_MS = 2000;
/** Of a heap that breathes; the bombs of one round alone are a hundred times as much when they are unpacked. */
const GROWTH_BYTES = 96 * 1_048_576;
const EPOCH = "90ab12cd34ef5678";
const SESSION = "0011223344556677";

/** Gateways that send everything but what they should, beside one that behaves: does that one notice, does anything grow? */
export const trial: Trial = async ({ rounds = 1, keep, say }) => {
  const claims = new Claims(say);
  const folder = temporaryFolder("hostile-gateway");
  const centre = new Centre(folder, true);
  await centre.start();
  await centre.ready();
  const calm = await CalmGateway.connect(centre.brokerPort);
  await calm.send(PHASE_MS / 3);
  const alone = await calm.send(PHASE_MS);
  claims.figure("alone: ms to the acknowledgement, p50 and p99", spread(alone));
  const hostile = await Promise.all(Array.from({ length: HOSTILE }, (_, at) => flood(centre.brokerPort, `bad-${at}`)));
  await calm.send(PHASE_MS / 3);
  const before = memory(centre);
  const beside: number[] = [];
  for (let at = 0; at < rounds; at++) beside.push(...(await calm.send(PHASE_MS)));
  const after = memory(centre);
  const sent = (await Promise.all(hostile.map((one) => one.end()))).reduce((sum, one) => sum + one, 0);
  claims.figure(`beside ${HOSTILE} hostile gateways: p50 and p99`, spread(beside));
  claims.figure("hostile messages meanwhile", sent);
  claims.figure("batches that the one that behaves sent again", calm.again);
  claims.figure("memory of the collector, MB before and after", `${megabytes(before)} and ${megabytes(after)}`);
  claims.holds(sent > 100, "the hostile gateways sent next to nothing");
  claims.holds(
    await becomes(() => {
      calm.sendAgain();
      return calm.waiting === 0;
    }, 30_000),
    `${calm.waiting} batches of the gateway that behaves are not acknowledged`,
  );
  claims.holds(quantile(sorted(beside), 0.99) < SLOWEST_MS, `its p99 is ${spread(beside)} ms`);
  claims.holds(after - before < GROWTH_BYTES, `the collector grew from ${megabytes(before)} to ${megabytes(after)} MB`);
  claims.holds(centre.running === 1, "the collector ended");
  await calm.end();
  await centre.stop();
  await checkStored(centre, calm.records, claims);
  if (!keep) rmSync(folder, { recursive: true, force: true });
  return claims.result();
};

async function checkStored(centre: Centre, records: number, claims: Claims): Promise<void> {
  const database = await centre.database();
  const [row] = await database.query<{ n: number }>(
    "SELECT count(*) AS n FROM record r JOIN gateway g ON g.id = r.gateway WHERE g.name = 'calm'",
  );
  const told = await database.query<{ name: string; refused: number; last: string }>(
    "SELECT name, refused, last_refusal AS last FROM gateway WHERE name LIKE 'bad-%' ORDER BY name",
  );
  await database.close();
  claims.figure("refused messages by gateway", told.map((one) => one.refused).join(", "));
  claims.holds(row?.n === records, `${row?.n} of ${records} records of the gateway that behaves are stored`);
  claims.holds(told.length === HOSTILE && told.every((one) => one.refused > 0), "what was refused is not counted");
}

function packed(lines: readonly string[], lo: number, stream: number, more: Partial<BatchHeader> = {}): Buffer {
  const header: BatchHeader = {
    ...{ v: 1, kind: "batch", session: SESSION, epoch: EPOCH, ordinal: 1, stream, lo, hi: lo + lines.length - 1 },
    ...{ dropped: [], clock: { bootId: "b", bootMs: 1, wallMs: 2, trust: "synced" }, ...more },
  };
  return encodeBatch(header, lines);
}

/** Sends a small batch now and then, each once, and measures how long the fleet takes to say that it has it. */
class CalmGateway {
  readonly #client: MqttClient;
  readonly #sentAt = new Map<number, number>();
  readonly #payloads = new Map<number, { readonly payload: Buffer; at: number }>();
  #took: number[] = [];
  records = 0;
  again = 0;

  private constructor(client: MqttClient) {
    this.#client = client;
    client.on("message", (_topic, payload) => {
      const ack = JSON.parse(payload.toString()) as { kind: string; contiguous: number };
      for (const [hi, at] of this.#sentAt)
        if (ack.kind === "ack" && hi <= ack.contiguous) {
          this.#took.push(performance.now() - at);
          this.#sentAt.delete(hi);
          this.#payloads.delete(hi);
        }
    });
  }

  static async connect(port: number): Promise<CalmGateway> {
    const client = await connectAsync({ host: "127.0.0.1", port, protocolVersion: 5, clientId: "calm" });
    await client.subscribeAsync(gatewayTopics("north", "calm").acknowledgement, { qos: 1 });
    return new CalmGateway(client);
  }

  get waiting(): number {
    return this.#sentAt.size;
  }

  async send(forMs: number): Promise<number[]> {
    this.#took = [];
    for (const until = performance.now() + forMs; performance.now() < until; await pause(CALM_EACH_MS)) {
      const lines = Array.from({ length: 10 }, (_, at) =>
        JSON.stringify({ v: 1, kind: "decision", agent: "calm", decidedAt: Date.now(), n: this.records + at }),
      );
      const payload = packed(lines, this.records + 1, 1);
      this.records += lines.length;
      this.#sentAt.set(this.records, performance.now());
      this.#payloads.set(this.records, { payload, at: performance.now() });
      this.#publish(payload);
      this.sendAgain();
    }
    return this.#took;
  }

  /** What was not acknowledged in time: a broker whose queue is full forgets. */
  sendAgain(): void {
    const nowMs = performance.now();
    for (const one of this.#payloads.values()) {
      if (nowMs - one.at < AGAIN_MS) continue;
      one.at = nowMs;
      this.again += 1;
      this.#publish(one.payload);
    }
  }

  #publish(payload: Buffer): void {
    this.#client.publish(gatewayTopics("north", "calm").up("decisions"), payload, { qos: 1 });
  }

  async end(): Promise<void> {
    await this.#client.endAsync(true);
  }
}

/** One message after the other, as fast as the broker takes them. */
async function flood(port: number, name: string): Promise<{ end: () => Promise<number> }> {
  const client = await connectAsync({ host: "127.0.0.1", port, protocolVersion: 5, clientId: name });
  const topics = gatewayTopics("north", name);
  let sent = 0;
  let isOver = false;
  const done = (async () => {
    while (!isOver) {
      const [what, payload] = nonsense(sent);
      await client.publishAsync(what === "hello" ? topics.hello : topics.up(what), payload, { qos: 1 });
      sent += 1;
    }
  })();
  return {
    end: async () => {
      isOver = true;
      await done;
      await client.endAsync(true);
      return sent;
    },
  };
}

const bomb = gzipSync(Buffer.alloc(80 * 1_048_576, 32), { level: 9 });
const deep = packed([`{"kind":"decision","a":${"[".repeat(500_000)}${"]".repeat(500_000)}}`], 1, 1);
const long = packed([`{"kind":"decision","a":"${"x".repeat(8_000_000)}"}`], 1, 1);
const drops = packed(
  Array.from({ length: 250 }, (_, at) =>
    JSON.stringify({
      ...{
        v: 1,
        kind: "drop",
        id: "01993a0e-5b1c-7a54-9d5e-0f3c2b1a4d5e",
        epoch: 1,
        rows: 1,
        bytes: 1,
        reason: "size",
      },
      ...{ epochId: at.toString(16).padStart(16, "0"), stream: at, from: 1, to: 9e15, at: 1 },
      ...{ chainBefore: null, chainAfter: null },
    }),
  ),
  1,
  0,
);

/** In turn, so that each round has all of it. */
function nonsense(n: number): readonly [what: string, payload: Buffer] {
  switch (n % 9) {
    case 0:
      return ["decisions", bomb];
    case 1:
      return ["decisions", deep];
    case 2:
      return ["quiet", long];
    case 3:
      return ["safety", drops];
    case 4:
      return ["decisions", randomBytes(90_000)];
    case 5:
      // Lines that are no records, all different.
      return [
        "telemetry",
        packed(
          Array.from({ length: 250 }, () => randomBytes(20).toString("hex")),
          n * 300 + 1,
          3,
        ),
      ];
    case 6:
      // One record, and a hole behind it.
      return ["quiet", packed([`{"kind":"decision","n":${n}}`], n * 2 + 1, 2)];
    case 7:
      return ["hello", Buffer.from("[".repeat(60_000))];
    default:
      // Another record at the same place each time.
      return ["telemetry", packed([`{"kind":"health","n":${n}}`], 1, 3)];
  }
}

function memory(centre: Centre): number {
  return centre.pids.reduce((sum, pid) => sum + residentBytes(pid), 0);
}

function megabytes(bytes: number): number {
  return Math.round(bytes / 1_048_576);
}

function sorted(values: readonly number[]): number[] {
  return [...values].sort((one, other) => one - other);
}

function spread(values: readonly number[]): string {
  const all = sorted(values);
  return `${Math.round(quantile(all, 0.5))} and ${Math.round(quantile(all, 0.99))}`;
}
