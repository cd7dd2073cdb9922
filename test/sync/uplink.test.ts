import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { decodeBatch, encodeBatch, recordHash } from "../../sync/batch.ts";
import type { Position } from "../../sync/messages.ts";
import type { Waiting } from "../../sync/outgoing.ts";
import { RangeSet } from "../../sync/range-set.ts";
import { gatewayTopics } from "../../sync/topics.ts";
import { Uplink } from "../../sync/uplink.ts";
import type { BatchAsk, ReadBatch, UplinkLog } from "../../sync/uplink-log.ts";

const EPOCH = "90ab12cd34ef5678";
const OLD = "1111111111111111";
const topics = gatewayTopics("north", "plant-7");

/** A log in memory: lines by epoch and stream, of which some at the beginning may be gone. */
class MemoryLog implements UplinkLog {
  readonly lines = new Map<string, string[]>();
  readonly acked = new Map<string, Position>();
  readonly reports: [string, Readonly<Record<string, unknown>>][] = [];
  readonly #ordinals = new Map([
    [OLD, 1],
    [EPOCH, 2],
  ]);

  add(epoch: string, stream: number, count: number): void {
    const lines = this.lines.get(`${epoch}/${stream}`) ?? [];
    this.lines.set(`${epoch}/${stream}`, lines);
    for (let n = 0; n < count; n++) {
      const at = `${epoch}/${stream}/${lines.length + 1}`;
      lines.push(JSON.stringify({ v: 1, kind: "x", at, noise: recordHash(at).toString("hex") }));
    }
  }

  async waiting(): Promise<Waiting[]> {
    return [...this.lines].map(([name, lines]) => {
      const [epoch = "", stream] = name.split("/");
      const position = this.acked.get(name);
      const contiguous = position?.contiguous ?? 0;
      return {
        ...{
          epoch,
          ordinal: this.#ordinals.get(epoch) ?? 0,
          stream: Number(stream),
          lo: contiguous + 1,
          hi: lines.length,
        },
        ...{ contiguous, ranges: position?.ranges ?? [] },
      };
    });
  }

  async heads() {
    const seqs = [0, 1, 2, 3].map((stream) => this.lines.get(`${EPOCH}/${stream}`)?.length ?? 0);
    return { epoch: EPOCH, ordinal: 2, seqs };
  }

  async batch({ from, to, header, mostBytes }: BatchAsk): Promise<ReadBatch> {
    const lines = this.lines.get(`${header.epoch}/${header.stream}`)?.slice(from - 1, to) ?? [];
    for (let count = lines.length; count > 0; count = Math.floor(count / 2)) {
      const hi = from + count - 1;
      const payload = encodeBatch({ ...header, lo: from, hi, dropped: [] }, lines.slice(0, count));
      if (payload.byteLength <= mostBytes || count === 1) return { kind: "batch", payload, lo: from, hi, rows: count };
    }
    return { kind: "gone" };
  }

  acknowledged(_ordinal: number, position: Position): void {
    this.acked.set(`${position.epoch}/${position.stream}`, position);
  }

  report(what: string, detail: Readonly<Record<string, unknown>>): void {
    this.reports.push([what, detail]);
  }
}

interface Trouble {
  /** Of each hundred messages in this direction, how many are lost. */
  readonly upLossPercent: number;
  readonly downLossPercent: number;
  readonly delayMs: number;
  /** Every so many messages the connection breaks; 0: never. */
  readonly breakEvery: number;
}

/** A collector in memory behind a line that loses, delays and breaks. */
class Fleet {
  readonly stored = new Map<string, string>();
  readonly #have = new Map<string, RangeSet>();
  readonly #trouble: Trouble;
  readonly #random: () => number;
  uplink!: Uplink;
  messages = 0;
  bytes = 0;
  sessions = 0;
  isThere = true;
  order: string[] = [];
  /** The times that the uplink took from it. */
  told: number[] = [];

  constructor(trouble: Trouble, random: () => number) {
    this.#trouble = trouble;
    this.#random = random;
  }

  connect(): void {
    this.sessions += 1;
    this.uplink.up(this.session());
  }

  session(): string {
    return this.sessions.toString(16).padStart(16, "0");
  }

  async publish({ topic, payload }: { topic: string; payload: Uint8Array | string }): Promise<number> {
    this.messages += 1;
    this.bytes += payload.length;
    const { upLossPercent, delayMs, breakEvery } = this.#trouble;
    if (breakEvery > 0 && this.messages % breakEvery === 0) {
      this.uplink.down();
      setTimeout(() => this.connect(), 500);
      throw new Error("the connection broke");
    }
    if (this.#random() * 100 >= upLossPercent) setTimeout(() => this.#hears(topic, payload), delayMs);
    return 0;
  }

  #hears(topic: string, payload: Uint8Array | string): void {
    if (!this.isThere) return;
    if (topic === topics.hello) {
      const { session, waiting } = JSON.parse(String(payload)) as {
        session: string;
        waiting: { epoch: string; stream: number }[];
      };
      const positions = waiting.map(({ epoch, stream }) => this.#position(epoch, stream));
      this.#says({ kind: "welcome", session, protocol: 1, positions });
      return;
    }
    const { header, lines } = decodeBatch(payload as Uint8Array);
    const { epoch, stream, lo, hi, session } = header;
    this.order.push(`${epoch}/${stream}/${lo}`);
    for (const { seq, body } of lines) {
      const place = `${epoch}/${stream}/${seq}`;
      expect(this.stored.get(place) ?? body).toBe(body);
      this.stored.set(place, body);
    }
    const name = `${epoch}/${stream}`;
    const have = this.#have.get(name) ?? new RangeSet();
    this.#have.set(name, have);
    have.add(lo, hi);
    this.#says({ kind: "ack", session, ...this.#position(epoch, stream) });
  }

  #position(epoch: string, stream: number): Position {
    const ranges = this.#have.get(`${epoch}/${stream}`)?.list() ?? [];
    const contiguous = ranges[0]?.[0] === 1 ? ranges[0][1] : 0;
    return { epoch, stream, contiguous, ranges: ranges.filter(([from]) => from > contiguous).map(([a, b]) => [a, b]) };
  }

  #says(message: object): void {
    if (this.#random() * 100 < this.#trouble.downLossPercent) return;
    const text = JSON.stringify({ v: 1, fleet: "north", gateway: "plant-7", now: Date.now(), ...message });
    setTimeout(() => this.uplink.heard(Buffer.from(text)), this.#trouble.delayMs);
  }
}

const CALM: Trouble = { upLossPercent: 0, downLossPercent: 0, delayMs: 20, breakEvery: 0 };

function together(
  log: MemoryLog,
  trouble: Trouble,
  seed = 1,
  more: Partial<ConstructorParameters<typeof Uplink>[1]> = {},
) {
  let state = seed;
  const random = (): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return state / 0x7fffffff;
  };
  const fleet = new Fleet(trouble, random);
  const bootMs = (): number => Date.now();
  const uplink = new Uplink(
    {
      ...{ log, topics, keys: new Map(), random },
      line: {
        publish: (message) => fleet.publish(message),
        limits: () => ({ packetBytes: 262_144, underWay: 8 }),
        proven: () => {},
      },
      clock: {
        bootMs,
        lifeMs: bootMs,
        read: () => ({ bootId: "b", bootMs: bootMs(), wallMs: bootMs(), trust: "synced" }),
      },
      heardTime: (nowMs) => void fleet.told.push(nowMs),
    },
    { fleet: "north", gateway: "plant-7", software: "0", ackMode: "collector", budget: {}, ...more },
  );
  fleet.uplink = uplink;
  return { fleet, uplink };
}

function inLog(log: MemoryLog): string[] {
  return [...log.lines].flatMap(([name, lines]) => lines.map((_, at) => `${name}/${at + 1}`)).sort();
}

describe("the uplink", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test("brings every record to the fleet once, whatever the line loses, delays and breaks", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          upLossPercent: fc.integer({ min: 0, max: 30 }),
          downLossPercent: fc.integer({ min: 0, max: 30 }),
          delayMs: fc.integer({ min: 1, max: 3000 }),
          breakEvery: fc.constantFrom(0, 7, 23),
        }),
        fc.integer({ min: 1, max: 1e6 }),
        async (trouble, seed) => {
          const log = new MemoryLog();
          for (const stream of [0, 1, 2, 3]) log.add(OLD, stream, (seed >> stream) % 700);
          log.add(EPOCH, 0, 1);
          const { fleet, uplink } = together(log, trouble, seed);
          await uplink.start();
          fleet.connect();
          for (let second = 0; second < 40; second++) {
            for (const stream of [0, 1, 2, 3]) log.add(EPOCH, stream, (seed + second) % 9);
            uplink.wake();
            await vi.advanceTimersByTimeAsync(1000);
          }
          for (let minute = 0; minute < 120 && uplink.state().backlogRows > 0; minute++)
            await vi.advanceTimersByTimeAsync(60_000);
          expect([...fleet.stored.keys()].sort()).toEqual(inLog(log));
          expect(uplink.state().backlogRows).toBe(0);
          await uplink.stop();
        },
      ),
      { numRuns: 25 },
    );
  });

  test("sends what matters first, and what is written now beside what was before", async () => {
    const log = new MemoryLog();
    log.add(OLD, 1, 20_000);
    log.add(EPOCH, 0, 1);
    const { fleet, uplink } = together(log, { ...CALM, delayMs: 300 });
    await uplink.start();
    fleet.connect();
    await vi.advanceTimersByTimeAsync(3000);
    log.add(EPOCH, 1, 30);
    log.add(EPOCH, 0, 1);
    uplink.wake();
    const before = fleet.order.length;
    await vi.advanceTimersByTimeAsync(2500);
    const then = fleet.order.slice(before);
    expect(then).toContain(`${EPOCH}/0/2`);
    expect(then).toContain(`${EPOCH}/1/1`);
    expect(then.filter((one) => one.startsWith(`${OLD}/1`)).length).toBeGreaterThan(0);
    await uplink.stop();
  });

  test("asks now and then while nobody stores, and goes on when somebody does", async () => {
    const log = new MemoryLog();
    log.add(EPOCH, 1, 5000);
    const { fleet, uplink } = together(log, CALM);
    await uplink.start();
    fleet.connect();
    await vi.advanceTimersByTimeAsync(200);
    fleet.isThere = false;
    log.add(EPOCH, 1, 50_000);
    uplink.wake();
    await vi.advanceTimersByTimeAsync(600_000);
    const { messages } = fleet;
    await vi.advanceTimersByTimeAsync(600_000);
    expect(fleet.messages - messages).toBeLessThanOrEqual(20);
    expect(fleet.messages - messages).toBeGreaterThanOrEqual(10);
    fleet.isThere = true;
    await vi.advanceTimersByTimeAsync(120_000);
    expect(uplink.state().backlogRows).toBe(0);
    expect(fleet.stored.size).toBe(55_000);
    await uplink.stop();
  });

  test("believes no acknowledgement of what was never there, of another gateway or connection", async () => {
    const log = new MemoryLog();
    log.add(EPOCH, 1, 100);
    const { fleet, uplink } = together(log, CALM);
    await uplink.start();
    fleet.isThere = false;
    fleet.connect();
    await vi.advanceTimersByTimeAsync(100);
    const ack = {
      ...{ v: 1, kind: "ack", fleet: "north", gateway: "plant-7", session: fleet.session(), now: 1 },
      ...{ epoch: EPOCH, stream: 1, contiguous: 100, ranges: [] },
    };
    const forged = [
      { ...ack, gateway: "plant-8" },
      { ...ack, fleet: "south" },
      { ...ack, session: "ffffffffffffffff" },
      { ...ack, contiguous: 101 },
      { ...ack, contiguous: 0, ranges: [[50, 1000]] },
      { ...ack, contiguous: -1 },
      { ...ack, epoch: "0000000000000000" },
      { ...ack, kind: "other" },
      [],
      "x".repeat(70_000),
    ];
    for (const one of forged) uplink.heard(Buffer.from(JSON.stringify(one)));
    uplink.heard(Buffer.from([0xff, 0xfe, 0x00]));
    expect(log.acked.size).toBe(0);
    expect(uplink.state().backlogRows).toBe(100);
    expect(uplink.state().refused).toBe(11);
    expect(log.reports.length).toBeGreaterThan(0);
    uplink.heard(Buffer.from(JSON.stringify(ack)));
    expect(uplink.state().backlogRows).toBe(0);
    await uplink.stop();
  });

  test("keeps within its budget, and lets safety go beyond, which is told", async () => {
    const log = new MemoryLog();
    log.add(EPOCH, 1, 60_000);
    log.add(EPOCH, 0, 10);
    const { fleet, uplink } = together(log, CALM, 1, { budget: { bytesPerDay: 65_536, bytesPerSecond: 2000 } });
    await uplink.start();
    fleet.connect();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(fleet.bytes).toBeLessThan(2000 * 10 + 20_000 + 4096);
    await vi.advanceTimersByTimeAsync(3_600_000);
    expect(fleet.bytes).toBeLessThan(65_536 + 4096);
    log.add(EPOCH, 0, 4000);
    uplink.wake();
    await vi.advanceTimersByTimeAsync(3_600_000);
    expect([...fleet.stored.keys()].filter((one) => one.startsWith(`${EPOCH}/0`)).length).toBe(4010);
    expect(uplink.state().overdraftBytes).toBeGreaterThan(0);
    await uplink.stop();
  });

  test("gives nothing up while the log can not be read, asks seldom, and tells it now and then", async () => {
    const log = new MemoryLog();
    log.add(OLD, 1, 500);
    log.add(EPOCH, 0, 20);
    const { fleet, uplink } = together(log, CALM);
    await uplink.start();
    fleet.connect();
    await vi.advanceTimersByTimeAsync(150);
    let asked = 0;
    const fails = async (): Promise<never> => {
      asked += 1;
      throw new Error("the reader is gone");
    };
    const broken = [vi.spyOn(log, "heads"), vi.spyOn(log, "batch")].map((one) => one.mockImplementation(fails));
    for (let second = 0; second < 60; second++) {
      log.add(EPOCH, 0, 1);
      uplink.wake();
      await vi.advanceTimersByTimeAsync(1000);
    }
    expect(asked).toBeGreaterThan(20);
    expect(asked).toBeLessThan(200);
    const told = log.reports.filter(([what]) => what === "log not read for the fleet");
    expect(told.map(([, { times }]) => times)).toEqual([1, 10]);
    for (const one of broken) one.mockRestore();
    await vi.advanceTimersByTimeAsync(120_000);
    expect([...fleet.stored.keys()].sort()).toEqual(inLog(log));
    await uplink.stop();
  });

  test("tells what the fleet keeps aside, also where it counts as stored", async () => {
    const log = new MemoryLog();
    log.add(EPOCH, 0, 5);
    const { fleet, uplink } = together(log, CALM);
    await uplink.start();
    fleet.connect();
    await vi.advanceTimersByTimeAsync(30);
    fleet.isThere = false;
    await vi.advanceTimersByTimeAsync(200);
    uplink.heard(
      Buffer.from(
        JSON.stringify({
          ...{ v: 1, kind: "ack", fleet: "north", gateway: "plant-7", session: fleet.session(), now: 1, epoch: EPOCH },
          ...{ stream: 0, contiguous: 5, ranges: [], refused: [{ from: 4, to: 4, reason: "schema" }] },
        }),
      ),
    );
    expect(log.reports).toEqual([
      ["fleet refused records", { epoch: EPOCH, stream: "safety", ranges: [{ from: 4, to: 4, reason: "schema" }] }],
    ]);
    expect(uplink.state()).toMatchObject({ backlogRows: 0, underWay: 0 });
    await uplink.stop();
  });

  test("asks the log what is new at most twenty times a second, however many commits there are", async () => {
    const log = new MemoryLog();
    const { fleet, uplink } = together(log, CALM);
    await uplink.start();
    fleet.connect();
    await vi.advanceTimersByTimeAsync(100);
    const asked = vi.spyOn(log, "heads");
    for (let commit = 0; commit < 1000; commit++) {
      log.add(EPOCH, 0, 1);
      uplink.wake();
      await vi.advanceTimersByTimeAsync(1);
    }
    expect(asked.mock.calls.length).toBeLessThanOrEqual(21);
    await vi.advanceTimersByTimeAsync(1000);
    expect(fleet.stored.size).toBe(1000);
    await uplink.stop();
  });

  test("lets the fleet refuse only what it was sent, and writes few records of a flood of refusals", async () => {
    const log = new MemoryLog();
    log.add(OLD, 1, 200);
    log.add(EPOCH, 0, 5);
    const { fleet, uplink } = together(log, CALM);
    await uplink.start();
    fleet.connect();
    await vi.advanceTimersByTimeAsync(5000);
    expect(uplink.state().backlogRows).toBe(0);
    const refuse = (from: number, to: number): void =>
      uplink.heard(
        Buffer.from(
          JSON.stringify({
            ...{ v: 1, kind: "ack", fleet: "north", gateway: "plant-7", session: fleet.session(), now: 1 },
            ...{ epoch: EPOCH, stream: 0, contiguous: 5, ranges: [], refused: [{ from, to, reason: "conflict" }] },
          }),
        ),
      );
    // What it has acknowledged, and what is not there.
    for (let time = 0; time < 50; time++) refuse(1, 1_000_000);
    expect(log.reports).toEqual([]);
    // And each record that it does get, as soon as it comes; what that causes is a record again.
    fleet.isThere = false;
    const report = log.report.bind(log);
    log.report = (what, detail) => {
      report(what, detail);
      log.add(EPOCH, 0, 1);
    };
    log.add(EPOCH, 0, 1);
    for (let tenth = 0; tenth < 6000; tenth++) {
      uplink.wake();
      await vi.advanceTimersByTimeAsync(100);
      refuse(6, 1_000_000);
    }
    const told = log.reports.filter(([what]) => what === "fleet refused records");
    expect(told.length).toBeGreaterThan(10);
    expect(told.length).toBeLessThanOrEqual(31);
    expect(told[0]).toEqual([
      "fleet refused records",
      { epoch: EPOCH, stream: "safety", ranges: [{ from: 6, to: 6, reason: "conflict" }] },
    ]);
    await uplink.stop();
  });

  test("takes the time and the positions of a welcome that it asked for, and of no other", async () => {
    const log = new MemoryLog();
    log.add(EPOCH, 0, 5);
    const { fleet, uplink } = together(log, CALM);
    await uplink.start();
    fleet.connect();
    await vi.advanceTimersByTimeAsync(5000);
    expect([fleet.told.length, uplink.state().condition]).toEqual([1, "sending"]);
    fleet.isThere = false;
    log.add(EPOCH, 0, 3);
    uplink.wake();
    const positions = [{ epoch: EPOCH, stream: 0, contiguous: 8, ranges: [] }];
    const head = { v: 1, kind: "welcome", fleet: "north", gateway: "plant-7", session: fleet.session(), protocol: 1 };
    for (let n = 0; n < 100; n++) {
      await vi.advanceTimersByTimeAsync(10);
      uplink.heard(Buffer.from(JSON.stringify({ ...head, now: n * 86_400_000, positions })));
    }
    expect(fleet.told).toHaveLength(1);
    expect(uplink.state().backlogRows).toBe(3);
    await uplink.stop();
  });

  test("believes no acknowledgement of what was never there, wherever in it that stands", async () => {
    const log = new MemoryLog();
    log.add(EPOCH, 0, 100);
    const { fleet, uplink } = together(log, CALM);
    await uplink.start();
    fleet.isThere = false;
    fleet.connect();
    await vi.advanceTimersByTimeAsync(1000);
    const head = { v: 1, kind: "ack", fleet: "north", gateway: "plant-7", session: fleet.session(), now: 1 };
    for (const [contiguous, ranges] of [
      [101, []],
      [0, [[1, 101]]],
      [
        0,
        [
          [10, 50_227],
          [60, 70],
        ],
      ],
    ] as const)
      uplink.heard(Buffer.from(JSON.stringify({ ...head, epoch: EPOCH, stream: 0, contiguous, ranges })));
    expect(uplink.state()).toMatchObject({ backlogRows: 100, refused: 3 });
    expect(log.acked.size).toBe(0);
    await uplink.stop();
  });
});
