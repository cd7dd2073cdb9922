import { randomBytes, randomUUID } from "node:crypto";
import { encodeBatch } from "../../sync/batch.ts";
import { Link } from "../../sync/link.ts";
import { gatewayTopics } from "../../sync/topics.ts";
import { becomes, Claims, quantile } from "./claims.ts";
import { temporaryFolder } from "./daemon.ts";
import { Centre } from "./fleet/centre.ts";
import type { Trial } from "./trial.ts";

const GATEWAYS = 1000;
const RECORDS = 50;
/** The uplink asks again after 3, 6, 12 and 24 s, then every 30 to 60 s. */
const FIRST_ANSWER_MS = 3000;
const LONGEST_ANSWER_MS = 45_000;
const BROKER_AWAY_MS = 10_000;
const SETTLE_MS = 300_000;

/** A gateway as the fleet sees it: the real link, and an uplink of one batch that it repeats until it is acknowledged. */
class Simulated {
  readonly name: string;
  readonly #link: Link;
  readonly #topics: ReturnType<typeof gatewayTopics>;
  readonly #epoch = randomBytes(8).toString("hex");
  #session = "";
  #seq = 0;
  #acknowledged = 0;
  connectedAtMs: number[] = [];
  settledAtMs = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(name: string, brokerPort: number) {
    this.name = name;
    this.#topics = gatewayTopics("north", name);
    const none = (): undefined => undefined;
    this.#link = new Link(
      {
        clock: { wallMs: () => Date.now(), bootMs: () => performance.now() },
        random: Math.random,
        files: { ca: none, certificate: none, key: none, password: none },
        log: { info: none, warn: none },
      },
      {
        ...{
          fleet: "north",
          gateway: name,
          brokers: [`mqtt://127.0.0.1:${brokerPort}`],
          keepaliveSeconds: 60,
          software: "0",
        },
        ...{ firstWithinMs: 10_000, subscriptions: [this.#topics.acknowledgement] },
      },
    );
    this.#link.onUp = (session) => this.#up(session);
    this.#link.onMessage = (_topic, payload) => this.#heard(payload);
  }

  /** New records, to be settled. */
  async start(): Promise<void> {
    this.more();
    await this.#link.start();
  }

  more(): void {
    this.#seq += RECORDS;
    this.settledAtMs = 0;
  }

  stop(): Promise<void> {
    clearTimeout(this.#timer);
    return this.#link.stop();
  }

  #up(session: string): void {
    this.#session = session;
    this.connectedAtMs.push(performance.now());
    this.#greet(session, FIRST_ANSWER_MS);
  }

  /** Again and again while nobody answers, as the uplink does. */
  #greet(session: string, waitMs: number): void {
    if (session !== this.#session || this.settledAtMs > 0) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#greet(session, Math.min(LONGEST_ANSWER_MS, waitMs * 2)), waitMs);
    const span = { epoch: this.#epoch, ordinal: 1, stream: 1, lo: this.#acknowledged + 1, hi: this.#seq };
    const hello = {
      ...{
        v: 1,
        kind: "hello",
        protocol: [1, 1],
        session,
        software: "0",
        epoch: this.#epoch,
        ordinal: 1,
        waiting: [span],
      },
      clock: { bootId: "b", bootMs: 1, wallMs: Date.now(), trust: "synced" },
    };
    this.#say(this.#topics.hello, JSON.stringify(hello));
  }

  #heard(payload: Uint8Array): void {
    const { kind, contiguous } = JSON.parse(Buffer.from(payload).toString()) as { kind: string; contiguous?: number };
    if (kind === "welcome") this.#send();
    if (kind !== "ack") return;
    this.#acknowledged = contiguous ?? 0;
    if (this.#acknowledged >= this.#seq && this.settledAtMs === 0) this.settledAtMs = performance.now();
  }

  #send(): void {
    const lo = this.#acknowledged + 1;
    if (lo > this.#seq) return;
    const header = {
      ...{
        v: 1 as const,
        kind: "batch" as const,
        session: this.#session,
        epoch: this.#epoch,
        ordinal: 1,
        stream: 1,
        lo,
        hi: this.#seq,
      },
      ...{ dropped: [], clock: { bootId: "b", bootMs: 1, wallMs: Date.now(), trust: "synced" } },
    };
    const bodies = Array.from({ length: this.#seq - lo + 1 }, () =>
      JSON.stringify({ v: 1, kind: "decision", id: randomUUID(), agent: "a" }),
    );
    this.#say(this.#topics.up("decisions"), encodeBatch(header, bodies));
  }

  #say(topic: string, payload: Uint8Array | string): void {
    // What does not get through is said again with the next connection.
    this.#link.publish({ topic, payload, qos: 1, expirySeconds: 300 }).catch(() => 0);
  }
}

/** All gateways of a fleet come back at one time: they do not break what comes back, and all settle. `rounds`: gateways. */
export const trial: Trial = async ({ rounds = GATEWAYS, bus, say }) => {
  const claims = new Claims(say);
  const centre = new Centre(temporaryFolder("herd"), bus === "embedded");
  await centre.start();
  await centre.ready();
  const gateways = Array.from({ length: rounds }, (_, at) => new Simulated(`plant-${at}`, centre.brokerPort));
  await Promise.all(gateways.map((one) => one.start()));
  const settled = (): boolean => gateways.every((one) => one.settledAtMs > 0);
  claims.holds(
    await becomes(settled, SETTLE_MS),
    `${gateways.filter((one) => one.settledAtMs === 0).length} gateways did not settle at first`,
  );
  const away = performance.now();
  await centre.killBroker();
  for (const one of gateways) one.more();
  await becomes(() => performance.now() - away > BROKER_AWAY_MS, BROKER_AWAY_MS + 1000);
  const back = performance.now();
  await centre.startBroker();
  claims.holds(
    await becomes(settled, SETTLE_MS),
    `${gateways.filter((one) => one.settledAtMs === 0).length} gateways did not settle`,
  );
  const connected = gateways
    .map((one) => Math.min(...one.connectedAtMs.filter((at) => at > back)) - back)
    .sort((a, b) => a - b);
  const perSecond = new Map<number, number>();
  for (const at of gateways.flatMap((one) => one.connectedAtMs.filter((ms) => ms > back))) {
    const second = Math.floor((at - back) / 1000);
    perSecond.set(second, (perSecond.get(second) ?? 0) + 1);
  }
  const times = gateways.map((one) => one.settledAtMs - back).sort((a, b) => a - b);
  const seconds = (ms: number): number => Math.round(ms / 100) / 10;
  claims.figure("gateways, records of each", `${rounds}, ${RECORDS} before and ${RECORDS} more after`);
  claims.figure(
    "connected after the broker was back, s (p50 / p99 / last)",
    [quantile(connected, 0.5), quantile(connected, 0.99), connected.at(-1) ?? 0].map(seconds),
  );
  claims.figure(
    "connections a second, by second",
    [...perSecond]
      .sort(([a], [b]) => a - b)
      .map(([second, n]) => `${second}: ${n}`)
      .join(", "),
  );
  claims.figure(
    "all it had was with the fleet after, s (p50 / p99 / last)",
    [quantile(times, 0.5), quantile(times, 0.99), times.at(-1) ?? 0].map(seconds),
  );
  await Promise.all(gateways.map((one) => one.stop()));
  await centre.stop();
  const database = await centre.database();
  const [stored] = await database.query<{ rows: number; bodies: number }>(
    "SELECT count(*) AS rows, count(DISTINCT (gateway, seq)) AS bodies FROM record",
  );
  claims.figure("records stored, places", `${stored?.rows}, ${stored?.bodies}`);
  claims.holds(stored?.rows === 2 * rounds * RECORDS, `${stored?.rows} of ${2 * rounds * RECORDS} records are stored`);
  await database.close();
  await centre.stopDatabase();
  return claims.result();
};
