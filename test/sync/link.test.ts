import { afterEach, describe, expect, test } from "vitest";
import { becomes } from "../../scripts/trial/claims.ts";
import { backoffMs, usualBackoff } from "../../sync/backoff.ts";
import { SyncError } from "../../sync/errors.ts";
import { Link, type LinkOptions } from "../../sync/link.ts";
import { knownReasons } from "../../sync/reasons.ts";
import { type Script, type WireBroker, wireBroker } from "../support/wire-broker.ts";

const QUICK = { baseMs: 1, capMs: 4, refusedCapMs: 4, takenOverMs: 3 };
const open: { stop?: () => Promise<void>; close?: () => Promise<void> }[] = [];

afterEach(async () => {
  for (const one of open.splice(0).reverse()) await (one.stop?.() ?? one.close?.());
});

async function broker(script: (connection: number) => Script, properties: readonly number[] = []): Promise<WireBroker> {
  const made = await wireBroker(script, properties);
  open.push(made);
  return made;
}

function link(brokers: readonly string[], more: Partial<LinkOptions> = {}): Link {
  const made = new Link(
    {
      clock: { wallMs: () => Date.now(), bootMs: () => performance.now() },
      random: Math.random,
      files: { ca: () => undefined, certificate: () => undefined, key: () => undefined, password: () => undefined },
      log: { info: () => undefined, warn: () => undefined },
    },
    {
      ...{ fleet: "north", gateway: "plant-7", brokers, keepaliveSeconds: 30, software: "0", firstWithinMs: 0 },
      ...{
        subscriptions: ["holdfast/v1/north/plant-7/down/ack", "holdfast/v1/north/plant-7/down/cmd"],
        backoff: QUICK,
      },
      ...more,
    },
  );
  open.push(made);
  return made;
}

const codes = Object.keys(knownReasons).map(Number);
/** MQTT 5 has these for a CONNACK alone. */
const CONNACK_ALONE = [0x84, 0x85, 0x86, 0x88, 0x8a, 0x8c];
const hexOf = (code: number): string => `0x${code.toString(16).padStart(2, "0")}`;

describe("the link", () => {
  test.each(
    codes
      .filter((code) => code >= 0x80 && code !== 0x8e && code !== 0x8d && code !== 0x98)
      .map((code) => [hexOf(code), code]),
  )("goes on trying after a CONNACK with %s, and says why", async (hex, code) => {
    const server = await broker(() => ({ connack: Number(code) }));
    const made = link([server.url]);
    await made.start();
    expect(await becomes(() => server.connects() >= 3, 5000)).toBe(true);
    expect(made.state().reason).toMatchObject({ code: hex, name: knownReasons[Number(code)]?.name });
  });

  test.each(codes.filter((code) => !CONNACK_ALONE.includes(code)).map((code) => [hexOf(code), code]))(
    "connects again after a DISCONNECT with %s, and says why",
    async (hex, code) => {
      let [ups, downs] = [0, 0];
      const server = await broker(() => ({ disconnect: Number(code) }));
      const made = link([server.url]);
      made.onUp = () => (ups += 1);
      made.onDown = () => (downs += 1);
      await made.start();
      expect(await becomes(() => server.connects() >= 3 && made.state().state === "waiting", 5000)).toBe(true);
      expect(made.state().reason).toMatchObject({ code: hex });
      expect(ups - downs).toBeLessThanOrEqual(1);
      expect(made.state().identityConflict).toBe(Number(code) === 0x8e);
    },
  );

  test("waits longer where we are refused, and longest where another one has our name", () => {
    for (const attempt of [0, 1, 5, 100]) {
      expect(backoffMs(attempt, "usual", 0)).toBe(0);
      expect(backoffMs(attempt, "usual", 0.999)).toBeLessThanOrEqual(usualBackoff.capMs);
      expect(backoffMs(attempt, "refused", 0.999)).toBeLessThanOrEqual(usualBackoff.refusedCapMs);
      expect(backoffMs(attempt, "takenOver", 0)).toBeGreaterThanOrEqual(60_000);
    }
    expect(backoffMs(100, "usual", 0.999)).toBeGreaterThan(290_000);
    expect(backoffMs(100, "refused", 0.999)).toBeGreaterThan(890_000);
  });

  test("takes the brokers in turn, and follows one that names another of the list", async () => {
    const good = await broker(() => ({ take: "well" }));
    const moved = await broker(() => ({ disconnect: 0x9d, serverReference: `127.0.0.1:${good.port}` }));
    const never = await broker(() => ({ connack: 0x88 }));
    const made = link([moved.url, never.url, good.url]);
    await made.start();
    expect(await becomes(() => made.state().broker === good.url && made.state().state === "connected", 5000)).toBe(
      true,
    );
    expect([moved.connects(), never.connects()]).toEqual([1, 0]);
    const stranger = await broker(() => ({ disconnect: 0x9c, serverReference: "evil.example:1883" }));
    const other = link([stranger.url, good.url], { gateway: "plant-8" });
    await other.start();
    expect(await becomes(() => other.state().state === "connected" && other.state().broker === good.url, 5000)).toBe(
      true,
    );
  });

  test("says that nobody listens, and gives up what was under way when the connection goes", async () => {
    const server = await broker((connection) => (connection === 0 ? { take: "well" } : { hangUp: true }));
    const made = link([server.url]);
    await made.start();
    expect(await becomes(() => made.state().state === "connected", 5000)).toBe(true);
    expect(await made.publish({ topic: "holdfast/v1/north/plant-7/up/hello", payload: "{}", qos: 1 })).toBe(0x10);
    await server.close();
    expect(await becomes(() => made.state().state !== "connected", 5000)).toBe(true);
    const code = await made
      .publish({ topic: "t", payload: "x", qos: 1 })
      .catch((error: unknown) => error instanceof SyncError && error.code);
    expect(code).toBe("SYNC_LINK_DOWN");
  });

  test("keeps to what the broker takes at once and in one packet", async () => {
    // Receive Maximum 3 (0x21), Maximum Packet Size 1000 (0x27).
    const server = await broker(() => ({ take: "well" }), [0x21, 0, 3, 0x27, 0, 0, 3, 0xe8]);
    const made = link([server.url]);
    await made.start();
    expect(await becomes(() => made.state().state === "connected", 5000)).toBe(true);
    expect(made.limits()).toEqual({ packetBytes: 1000, underWay: 3 });
  });

  test("finds out that nobody answers any more, and ends within seconds though nobody answers", async () => {
    const server = await broker((connection) => ({ take: connection === 0 ? "silently" : "well" }));
    const made = link([server.url], { keepaliveSeconds: 1 });
    await made.start();
    expect(await becomes(() => made.state().state === "connected", 8000)).toBe(true);
    expect(server.connects()).toBeGreaterThanOrEqual(2);
    const deaf = await broker(() => ({ take: "silently" }));
    const other = link([deaf.url], { gateway: "plant-9" });
    await other.start();
    expect(await becomes(() => deaf.connects() === 1, 5000)).toBe(true);
    await other.stop();
    expect(other.state().state).toBe("off");
  }, 20_000);

  test("says in words what keeps it from a broker", async () => {
    const made = link(["mqtt://127.0.0.1:1"]);
    await made.start();
    expect(await becomes(() => made.state().reason !== undefined, 5000)).toBe(true);
    expect(made.state().reason).toMatchObject({ name: "refused", words: expect.stringContaining("nothing listens") });
  });
});
