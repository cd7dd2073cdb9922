import { decodeBatch } from "../../../sync/batch.ts";
import type { Span } from "../../../sync/messages.ts";
import { gatewayTopics, upTopic } from "../../../sync/topics.ts";

const MOST_KEPT = 200;
/** Unpacking every batch would be the attacker's own undoing. */
const LOOK_EACH_MS = 500;

/** What one who may read all topics of a fleet learns of a gateway: enough to say the right words at the right time. */
export class Knowledge {
  readonly topics;
  session = "0000000000000000";
  epoch = "0000000000000000";
  /** The newest place of each stream that was seen on its way up. */
  readonly highest = [1, 1, 1, 1];
  /** What the fleet said, with its signature: to be said again. */
  readonly answers: Buffer[] = [];
  readonly commands: Buffer[] = [];
  #lookedMs = 0;

  constructor(fleet: string, gateway: string) {
    this.topics = gatewayTopics(fleet, gateway);
  }

  heard(topic: string, payload: Buffer): void {
    if (topic === this.topics.command) keep(this.commands, payload);
    else if (topic === this.topics.acknowledgement || topic === this.topics.backfill) keep(this.answers, payload);
    else if (topic === this.topics.hello) this.#hello(payload);
    else if (upTopic(topic)?.branch === "up") this.#batch(payload);
  }

  #hello(payload: Buffer): void {
    const { session, epoch, waiting } = JSON.parse(payload.toString()) as {
      session: string;
      epoch: string;
      waiting: Span[];
    };
    this.session = session;
    this.epoch = epoch;
    for (const { stream, hi } of waiting.filter((one) => one.epoch === epoch)) this.highest[stream] = hi;
  }

  #batch(payload: Buffer): void {
    if (performance.now() - this.#lookedMs < LOOK_EACH_MS) return;
    this.#lookedMs = performance.now();
    const { session, epoch, stream, hi } = decodeBatch(payload).header;
    this.session = session;
    this.epoch = epoch;
    this.highest[stream] = Math.max(this.highest[stream] ?? 1, hi);
  }
}

function keep(list: Buffer[], payload: Buffer): void {
  if (payload.length === 0) return;
  list.push(Buffer.from(payload));
  if (list.length > MOST_KEPT) list.shift();
}
