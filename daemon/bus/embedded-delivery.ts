import type { Socket } from "node:net";
import type { Client } from "aedes";
import { type ClientPacket, isRead, onPacket, takePacketId } from "./aedes-client.ts";
import { hangUp } from "./hang-up.ts";
import type { PendingPublish } from "./pending-publish.ts";
import { encodePublish } from "./publish-packet.ts";

/** A connected client that has subscribed to the command's topic, and how. */
export interface Subscriber {
  readonly client: Client;
  readonly qos: 0 | 1;
}

/** A command whose subscribers of QoS 1 have not all acknowledged it. */
interface Delivery {
  readonly pending: PendingPublish;
  readonly subscribers: number;
  readonly confirmed: number;
  missing: number;
}

/** What was written to one client and is not acknowledged, also what nobody waits for any more. */
interface Open {
  readonly deliveries: Map<number, Delivery>;
  received: number;
  doubt: NodeJS.Timeout | undefined;
}

export interface Laggard {
  isThere(): boolean;
  cutOff(): void;
}

const MOST_UNANSWERED = 1_000;
const SIGN_OF_LIFE_MS = 5_000;

/** Writes commands straight to the sockets of subscribers, and waits for their acknowledgements. */
export class EmbeddedDelivery {
  readonly #open = new Map<Client, Open>();

  /** A command would go to the kernel at once for each of them, and none has too many unanswered. */
  hasRoom(subscribers: readonly Subscriber[]): boolean {
    let hasRoom = true;
    for (const { client } of subscribers) {
      const deliveries = this.#open.get(client)?.deliveries;
      const isFull = deliveries !== undefined && deliveries.size >= MOST_UNANSWERED;
      if (isFull && [...deliveries.values()].every(({ pending }) => pending.isSettled)) hangUp(client.conn);
      if (isFull || client.conn.writableNeedDrain) hasRoom = false;
    }
    return hasRoom;
  }

  /** In one turn. Settles the command when each of them has it: by a PUBACK, or at QoS 0 by having been written. */
  deliver(pending: PendingPublish, subscribers: readonly Subscriber[]): void {
    const { topic, payload } = pending.command;
    const confirmed = subscribers.filter(({ qos }) => qos === 1).length;
    const delivery = { pending, subscribers: subscribers.length, confirmed, missing: confirmed };
    for (const { client, qos } of subscribers) {
      const open = this.#openOf(client);
      const packetId = qos === 1 ? takePacketId(client) : undefined;
      if (packetId !== undefined) open.deliveries.set(packetId, delivery);
      client.conn.write(encodePublish(topic, payload, packetId));
      // The library holds packets of one turn together until its end; this one goes to the kernel now.
      while (client.conn.writableCorked > 0) client.conn.uncork();
    }
    if (confirmed === 0) settle(delivery);
    pending.onGivenUp = (isLate) => {
      if (isLate) for (const { client } of subscribers) this.#doubt(client, delivery);
    };
  }

  /** What is on the way now: each client that has not taken all of it, or not acknowledged it where that is asked for. */
  onTheWay(): Laggard[] {
    return [...this.#open].map(([client, { deliveries }]) => {
      const conn = client.conn as Socket;
      const expected = [...deliveries.values()];
      const bytes = conn.bytesWritten;
      const hasAll = (): boolean => conn.bytesWritten - conn.writableLength >= bytes;
      const isOpen = (): boolean => [...deliveries.values()].some((delivery) => expected.includes(delivery));
      return { isThere: () => this.#open.has(client) && (!hasAll() || isOpen()), cutOff: () => hangUp(conn) };
    });
  }

  #openOf(client: Client): Open {
    const known = this.#open.get(client);
    if (known !== undefined) return known;
    const open: Open = { deliveries: new Map(), received: 0, doubt: undefined };
    this.#open.set(client, open);
    onPacket(client, (packet) => acknowledge(open, packet));
    client.conn.once("close", () => {
      this.#open.delete(client);
      clearTimeout(open.doubt);
      for (const { pending } of open.deliveries.values()) pending.lost();
    });
    return open;
  }

  /**
   * A client that did not acknowledge in time and then says nothing at all is not there: when the network comes back
   * the kernel would still deliver the command, however late that is.
   */
  #doubt(client: Client, delivery: Delivery): void {
    const open = this.#open.get(client);
    if (open === undefined || open.doubt !== undefined || ![...open.deliveries.values()].includes(delivery)) return;
    const { received } = open;
    open.doubt = setTimeout(() => {
      open.doubt = undefined;
      if (open.received === received && isRead(client)) hangUp(client.conn);
    }, SIGN_OF_LIFE_MS);
  }
}

function acknowledge(open: Open, { cmd, messageId }: ClientPacket): void {
  open.received += 1;
  const delivery = cmd === "puback" && messageId !== undefined ? open.deliveries.get(messageId) : undefined;
  if (delivery === undefined) return;
  open.deliveries.delete(messageId as number);
  delivery.missing -= 1;
  if (delivery.missing === 0) settle(delivery);
}

function settle({ pending, subscribers, confirmed }: Delivery): void {
  pending.settle({ kind: "acknowledged", detail: { subscribers, confirmed } });
}
