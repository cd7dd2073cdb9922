import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { usualBackoff } from "../../sync/backoff.ts";
import { type LinkEnd, type LinkMemory, nextStep, noMemory, STABLE_MS, UNDISPUTED_MS } from "../../sync/next-step.ts";
import { reasonOf } from "../../sync/reasons.ts";

const BROKERS = ["mqtts://a.example", "mqtts://b.example:8884", "wss://c.example/mqtt"];

function ended(code: number, more: Partial<LinkEnd> = {}): LinkEnd {
  return { reason: reasonOf(code), upForMs: 0, isProven: false, ...more };
}

function stepAfter(memory: LinkMemory, end: LinkEnd, random = 0.5) {
  return nextStep(memory, end, BROKERS, random, usualBackoff);
}

describe("what the link does next", () => {
  test("begins anew only after a connection that lasted and over which the fleet answered", () => {
    const tired = { ...noMemory, failures: 8 };
    expect(stepAfter(tired, ended(0x8b, { upForMs: STABLE_MS, isProven: true })).memory.failures).toBe(1);
    expect(stepAfter(tired, ended(0x8b, { upForMs: STABLE_MS - 1, isProven: true })).memory.failures).toBe(9);
    expect(stepAfter(tired, ended(0x8b, { upForMs: 10 * STABLE_MS })).memory.failures).toBe(9);
  });

  test("takes the brokers in turn", () => {
    let memory: LinkMemory = noMemory;
    const seen = [0, 1, 2, 3].map(() => {
      memory = stepAfter(memory, ended(0x88)).memory;
      return memory.broker;
    });
    expect(seen).toEqual([1, 2, 0, 1]);
  });

  test.each([
    ["c.example", 2],
    ["b.example:8884", 1],
    ["evil.example c.example", 2],
    ["evil.example", 1],
    ["b.example:1", 1],
    ["", 1],
  ])("goes to the server %j only if it is in the list", (serverReference, broker) => {
    expect(stepAfter(noMemory, ended(0x9d, { serverReference })).memory.broker).toBe(broker);
  });

  test("follows no reference of a reason that does not send us anywhere", () => {
    expect(stepAfter(noMemory, ended(0x88, { serverReference: "c.example" })).memory.broker).toBe(1);
  });

  test("sends half as much to a broker that found a packet too large, and to that broker alone", () => {
    const once = stepAfter(noMemory, ended(0x95, { largestBytes: 100_000 })).memory;
    expect(once.packetBytes).toEqual({ 0: 50_000 });
    const twice = stepAfter({ ...once, broker: 0 }, ended(0x95, { largestBytes: 40_000 })).memory;
    expect(twice.packetBytes).toEqual({ 0: 20_000 });
    const least = stepAfter({ ...twice, broker: 0 }, ended(0x95, { largestBytes: 200 })).memory;
    expect(least.packetBytes).toEqual({ 0: 1024 });
    expect(stepAfter(noMemory, ended(0x95)).memory.packetBytes).toEqual({});
    expect(stepAfter(noMemory, ended(0x97, { largestBytes: 100_000 })).memory.packetBytes).toEqual({});
  });

  test("waits longer each time another one takes the name, though each connection looked good", () => {
    let memory: LinkMemory = noMemory;
    const waits = Array.from({ length: 6 }, () => {
      const step = stepAfter(memory, ended(0x8e, { upForMs: 2 * STABLE_MS, isProven: true }), 0.999);
      memory = step.memory;
      return step.delayMs;
    });
    expect(waits.slice(0, 4).every((ms, at) => ms > (waits[at - 1] ?? usualBackoff.takenOverMs))).toBe(true);
    expect(waits.at(-1)).toBeGreaterThan(900_000);
    const later = stepAfter(memory, ended(0x8e, { upForMs: UNDISPUTED_MS, isProven: true }), 0.999);
    expect(later.delayMs).toBeLessThan(121_000);
  });

  test("does not storm when two clients take a name from each other for a day", () => {
    // Each connection ends that of the other one. Their waits are drawn from a generator with a seed.
    let seed = 7;
    const random = (): number => {
      seed = (seed * 48_271) % 2_147_483_647;
      return seed / 2_147_483_647;
    };
    const first = { memory: noMemory as LinkMemory, upAtMs: undefined as number | undefined, nextAtMs: 0 };
    const second = { memory: noMemory as LinkMemory, upAtMs: undefined as number | undefined, nextAtMs: 5000 };
    let connects = 0;
    for (;;) {
      const one = first.nextAtMs <= second.nextAtMs ? first : second;
      const other = one === first ? second : first;
      const nowMs = one.nextAtMs;
      if (nowMs > 86_400_000) break;
      connects += 1;
      one.upAtMs = nowMs;
      one.nextAtMs = Number.POSITIVE_INFINITY;
      if (other.upAtMs === undefined) continue;
      const step = stepAfter(other.memory, ended(0x8e, { upForMs: nowMs - other.upAtMs, isProven: true }), random());
      other.memory = step.memory;
      other.upAtMs = undefined;
      other.nextAtMs = nowMs + step.delayMs;
    }
    // Without growth each waits for a minute or two: about a thousand in a day.
    expect(connects).toBeLessThan(250);
  });

  test("always waits within the bounds and keeps to the list, whatever ends come", () => {
    const codes = fc.constantFrom(0, 0x87, 0x88, 0x8e, 0x95, 0x97, 0x9c, 0x9d, 0xff);
    fc.assert(
      fc.property(
        codes,
        fc.integer({ min: 0, max: 10_000 }),
        fc.integer({ min: 0, max: 2 }),
        (code, failures, broker) => {
          const memory = { ...noMemory, failures, takeovers: failures, broker };
          const { delayMs, memory: next } = stepAfter(
            memory,
            ended(code, { serverReference: "x y:1 a.example" }),
            0.999,
          );
          expect(delayMs).toBeGreaterThanOrEqual(code === 0x8e ? 60_000 : 0);
          expect(delayMs).toBeLessThanOrEqual(960_000);
          expect(BROKERS[next.broker]).toBeDefined();
        },
      ),
    );
  });
});
