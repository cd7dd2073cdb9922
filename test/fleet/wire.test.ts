import { createHash, createPublicKey, verify } from "node:crypto";
import { gzipSync } from "node:zlib";
import { connectAsync, type MqttClient } from "mqtt";
import { afterEach, beforeEach, expect, test } from "vitest";
import { becomes } from "../../scripts/trial/claims.ts";
import { FleetSite } from "../support/fleet-site.ts";
import { describeWithMosquitto } from "../support/mosquitto.ts";

const LONG_MS = 400_000;
const WAIT_MS = 60_000;
const BASE = "holdfast/v1/north/hand";
const SESSION = "5f0c9d1e2a3b4c5d";
const EPOCH = "90ab12cd34ef5678";
const CLOCK = { bootId: "boot-1", bootMs: 81_234_567.1, wallMs: 1_795_843_906_910, trust: "synced" };

/** A gateway that is written from the specification alone, without a line of this project's. */
class HandGateway {
  readonly heard: Record<string, unknown>[] = [];
  readonly texts: string[] = [];
  readonly #client: MqttClient;

  private constructor(client: MqttClient) {
    this.#client = client;
    client.on("message", (_topic, payload) => {
      this.texts.push(payload.toString());
      this.heard.push(JSON.parse(payload.toString()) as Record<string, unknown>);
    });
  }

  static async connect(port: number): Promise<HandGateway> {
    const client = await connectAsync({
      ...{ host: "127.0.0.1", port, protocolVersion: 5, clean: true, clientId: "hand", reconnectPeriod: 0 },
      will: {
        ...{ topic: `${BASE}/state`, qos: 1, retain: true },
        payload: Buffer.from(JSON.stringify(HandGateway.state("lost"))),
      },
    });
    const gateway = new HandGateway(client);
    await client.subscribeAsync(`${BASE}/down/+`, { qos: 1 });
    return gateway;
  }

  static state(state: string): object {
    return { v: 1, kind: "state", state, session: SESSION, software: "hand 1", at: 1_795_843_906_910 };
  }

  async say(below: string, value: object, retain = false): Promise<void> {
    await this.#client.publishAsync(`${BASE}/${below}`, JSON.stringify(value), { qos: 1, retain });
  }

  async batch(name: string, stream: number, lo: number, lines: readonly string[], epoch = EPOCH): Promise<void> {
    const header = {
      ...{ v: 1, kind: "batch", session: SESSION, epoch, ordinal: 17, stream, lo, hi: lo + lines.length - 1 },
      ...{ dropped: [], clock: CLOCK, later: "members that nobody knows may be there" },
    };
    const text = [JSON.stringify(header), ...lines].map((line) => `${line}\n`).join("");
    await this.#client.publishAsync(`${BASE}/up/${name}`, gzipSync(text), { qos: 1 });
  }

  acknowledged(stream: number): Record<string, unknown> | undefined {
    return this.heard.filter((one) => one["kind"] === "ack" && one["stream"] === stream).at(-1);
  }

  /** Ends without a word, so that the last will is told. */
  async vanish(): Promise<void> {
    this.#client.stream.destroy();
    await this.#client.endAsync(true);
  }
}

const line = (n: number, more: object = {}): string =>
  JSON.stringify({
    ...{
      v: 1,
      kind: "decision",
      id: `01993a0e-5b1c-7a54-9d5e-${String(n).padStart(12, "0")}`,
      agent: "hand",
      key: "p",
    },
    ...{ decidedAt: 1_795_843_900_000 + n, receivedAt: 1_795_843_899_000, bootMs: 81_000_000 + n, ...more },
  });

describeWithMosquitto("the wire, spoken by hand", () => {
  let site: FleetSite;
  let gateway: HandGateway | undefined;

  beforeEach(async () => {
    site = new FleetSite();
    await site.startBroker();
  });

  afterEach(async () => {
    await gateway?.vanish();
    gateway = undefined;
    await site.close();
  });

  const decisions = (...args: readonly string[]): Record<string, unknown>[] =>
    site
      .fleet("decisions", "--json", ...args)
      .split("\n")
      .filter(Boolean)
      .map((text) => JSON.parse(text) as Record<string, unknown>);

  const state = (): unknown => (JSON.parse(site.fleet("gateways", "--json")) as { state: string }[])[0]?.state;

  test("is answered, signed, and shown to people", { timeout: LONG_MS }, async () => {
    await site.startCollector();
    gateway = await HandGateway.connect(site.brokerPort);
    await gateway.say("state", HandGateway.state("ready"), true);
    await gateway.say("up/hello", {
      ...{ v: 1, kind: "hello", protocol: [1, 1], session: SESSION, software: "hand 1", epoch: EPOCH, ordinal: 17 },
      ...{ clock: CLOCK, waiting: [{ epoch: EPOCH, ordinal: 17, stream: 1, lo: 1, hi: 3 }] },
    });
    const hand = gateway;
    expect(await becomes(() => hand.heard.length === 1, WAIT_MS)).toBe(true);
    const positions = [{ epoch: EPOCH, stream: 1, contiguous: 0, ranges: [] }];
    expect(hand.heard[0]).toMatchObject({ kind: "welcome", gateway: "hand", session: SESSION, protocol: 1, positions });
    await hand.batch("decisions", 1, 1, [
      line(1, { inputs: { heat: 81.5, name: "Ada" }, private: ["name"] }),
      line(2, { key: "q", rules: [{ id: "rough", fired: true, why: "…" }] }),
      "no record",
    ]);
    expect(await becomes(() => hand.acknowledged(1) !== undefined, WAIT_MS)).toBe(true);
    const refused = [{ from: 3, to: 3, reason: "schema" }];
    expect(hand.acknowledged(1)).toMatchObject({ session: SESSION, epoch: EPOCH, contiguous: 3, ranges: [], refused });
    expectSigned(hand.texts, site.fleet("key").trim());

    expect(decisions().map((one) => one["key"])).toEqual(["p", "q"]);
    const [first] = decisions("--key", "p");
    expect(first).toMatchObject({ gateway: "hand", inputs: { heat: 81.5, name: "(private)" }, timeQuality: "raw" });
    expect(decisions("--rule", "rough")).toHaveLength(1);
    expect(decisions("--rule", "smooth")).toEqual([]);
    expect(decisions("--agent", "hand", "--limit", "1")).toHaveLength(1);
    expect(decisions("--gateway", "nobody")).toEqual([]);
    expect(site.fleet("decisions", "--csv").split("\n")[1]).toContain(",raw,hand,hand,p,answer,,");
    expect(await becomes(() => state() === "ready", WAIT_MS)).toBe(true);
    await hand.vanish();
    expect(await becomes(() => state() === "lost", WAIT_MS)).toBe(true);
  });

  test("is acknowledged again by the next collector when one dies between COMMIT and acknowledgement", {
    timeout: LONG_MS,
  }, async () => {
    const dying = await site.startCollector({}, { HOLDFAST_TEST_DIE_AFTER_COMMITS: "1" });
    gateway = await HandGateway.connect(site.brokerPort);
    const hand = gateway;
    await hand.batch("decisions", 1, 1, [line(1), line(2)]);
    expect(await becomes(() => dying.child.signalCode === "SIGKILL", WAIT_MS)).toBe(true);
    expect(hand.heard).toEqual([]);
    await site.startCollector();
    expect(decisions()).toHaveLength(2);
    await hand.batch("decisions", 1, 1, [line(1), line(2)]);
    expect(await becomes(() => hand.acknowledged(1)?.["contiguous"] === 2, WAIT_MS)).toBe(true);
    expect(decisions()).toHaveLength(2);
  });

  test("is told of all that was stored before a collector that is asked to end has ended", {
    timeout: LONG_MS,
  }, async () => {
    const first = await site.startCollector();
    gateway = await HandGateway.connect(site.brokerPort);
    const hand = gateway;
    for (let at = 0; at < 20; at++)
      await hand.batch(
        "quiet",
        2,
        at * 50 + 1,
        Array.from({ length: 50 }, (_, n) => line(at * 50 + n)),
      );
    expect(await becomes(() => hand.acknowledged(2) !== undefined, WAIT_MS)).toBe(true);
    await first.end();
    expect(first.child.exitCode).toBe(0);
    const shown = decisions("--limit", "5000").length;
    // What it stored it has said, and what it said it has stored.
    expect(await becomes(() => reckoned(hand.acknowledged(2)) === shown, WAIT_MS)).toBe(true);
  });
});

/** How many records an acknowledgement tells of. */
function reckoned(ack: Record<string, unknown> | undefined): number {
  const ranges = (ack?.["ranges"] ?? []) as [number, number][];
  return ranges.reduce((sum, [from, to]) => sum + to - from + 1, Number(ack?.["contiguous"] ?? 0));
}

/** As the specification says: Ed25519 over the text without its last member. */
function expectSigned(texts: readonly string[], publicText: string): void {
  const der = Buffer.from(publicText, "base64");
  const key = createPublicKey({ key: der, format: "der", type: "spki" });
  const name = createHash("sha256").update(der).digest("hex").slice(0, 16);
  for (const text of texts) {
    const at = text.indexOf(',"signature":"');
    const { signature, key: said } = JSON.parse(text) as { signature: string; key: string };
    expect(said).toBe(name);
    expect(verify(null, Buffer.from(`${text.slice(0, at)}}`), key, Buffer.from(signature, "base64"))).toBe(true);
  }
}
