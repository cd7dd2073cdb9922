import { expect } from "vitest";
import { decodeBatch, encodeBatch, recordHash } from "../../sync/batch.ts";
import type { Position } from "../../sync/messages.ts";
import type { Waiting } from "../../sync/outgoing.ts";
import { RangeSet } from "../../sync/range-set.ts";
import { gatewayTopics } from "../../sync/topics.ts";
import { Uplink } from "../../sync/uplink.ts";
import type { BatchAsk, ReadBatch, UplinkLog } from "../../sync/uplink-log.ts";

export const EPOCH = "90ab12cd34ef5678";
export const OLD = "1111111111111111";
export const topics = gatewayTopics("north", "plant-7");

/** A log in memory: lines by epoch and stream, of which some at the beginning may be gone. */
export class MemoryLog implements UplinkLog {
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

export interface Trouble {
  /** Of each hundred messages in this direction, how many are lost. */
  readonly upLossPercent: number;
  readonly downLossPercent: number;
  readonly delayMs: number;
  /** Every so many messages the connection breaks; 0: never. */
  readonly breakEvery: number;
}

/** A collector in memory behind a line that loses, delays and breaks. */
export class Fleet {
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

export const CALM: Trouble = { upLossPercent: 0, downLossPercent: 0, delayMs: 20, breakEvery: 0 };

export function together(
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

export function inLog(log: MemoryLog): string[] {
  return [...log.lines].flatMap(([name, lines]) => lines.map((_, at) => `${name}/${at + 1}`)).sort();
}
