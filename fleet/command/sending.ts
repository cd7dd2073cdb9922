import { setTimeout as pause } from "node:timers/promises";
import { usualPatience } from "../../sync/client-options.ts";
import { type CommandResult, commandResultSchema } from "../../sync/command.ts";
import { dialWithin, type LinkFiles, readFiles } from "../../sync/dial.ts";
import { type ClientEnd, LinkClient } from "../../sync/link-client.ts";
import { readMessage, stateSchema } from "../../sync/messages.ts";
import { networkReason, publishReason, reasonOf } from "../../sync/reasons.ts";
import type { GatewayTopics } from "../../sync/topics.ts";
import { FleetError } from "../errors.ts";

export interface Sending {
  readonly brokers: readonly string[];
  readonly username: string | undefined;
  readonly serverName: string | undefined;
  readonly clientId: string;
  readonly topics: GatewayTopics;
  readonly id: string;
  readonly text: string;
  readonly expiresAt: number;
  /** How long to wait for a result after that: what was begun in time may last. */
  readonly lateMs: number;
}

export interface SendingDeps {
  readonly files: LinkFiles;
  readonly nowMs: () => number;
  /** Once: nobody takes it now, and it is sent when the gateway comes. */
  readonly waits: () => void;
  readonly stop: AbortSignal;
}

const KEEPALIVE_SECONDS = 30;
const AGAIN_MS = 1000;
const NOBODY_LISTENS = 0x10;
const FIRST_REFUSAL = 0x80;

/**
 * Sends a command, and again whenever its gateway comes while there is no result: nothing is kept for one that is away,
 * and one that has it already does it once. Gives the result; undefined when none came in time. Throws FLEET_BROKER where
 * no broker can be used.
 */
export async function sendCommand(deps: SendingDeps, sending: Sending): Promise<CommandResult | undefined> {
  const over = new AbortController();
  const end = (): void => over.abort(new Error("over"));
  const late = setTimeout(end, Math.max(0, sending.expiresAt - deps.nowMs()) + sending.lateMs);
  deps.stop.addEventListener("abort", end, { once: true });
  if (deps.stop.aborted) end();
  try {
    return await atEach({ ...deps, stop: over.signal }, sending);
  } finally {
    clearTimeout(late);
    deps.stop.removeEventListener("abort", end);
  }
}

/** Broker after broker; once one has taken it, for as long as it may be done. */
async function atEach(deps: SendingDeps, sending: Sending): Promise<CommandResult | undefined> {
  const { brokers } = sending;
  const failures: { broker: string; why: string }[] = [];
  let wasThere = false;
  for (let at = 0; !deps.stop.aborted; at++) {
    const broker = brokers[at % brokers.length] ?? "";
    const one = await atOne(broker, deps, sending);
    if (one.result !== undefined) return one.result;
    wasThere ||= one.wasThere;
    failures.push({ broker, why: one.why });
    if (deps.stop.aborted) break;
    if (!wasThere && failures.length >= brokers.length) throw new FleetError("FLEET_BROKER", { unused: failures });
    // Aborted means that the person has had enough: the loop looks at that.
    await pause(AGAIN_MS, undefined, { signal: deps.stop }).catch(() => undefined);
  }
  return undefined;
}

interface Ended {
  readonly result?: CommandResult | undefined;
  /** It was connected, and the gateway's topics could be heard and used. */
  readonly wasThere: boolean;
  readonly why: string;
}

async function atOne(url: string, deps: SendingDeps, sending: Sending): Promise<Ended> {
  const { serverName } = sending;
  const dialing = new AbortController();
  let client: LinkClient | undefined;
  const cut = (): void => {
    dialing.abort(deps.stop.reason);
    client?.close();
  };
  deps.stop.addEventListener("abort", cut, { once: true });
  try {
    if (deps.stop.aborted) cut();
    const { password, ...files } = readFiles(deps.files);
    const dial = { url, proxy: undefined, serverName, ...files };
    const line = await dialWithin(usualPatience.dialMs, dial, dialing);
    return await new Promise<Ended>((resolve) => {
      const talk = new Talk(deps, sending, resolve);
      const { clientId, username } = sending;
      const options = { url, clientId, username, password, keepaliveSeconds: KEEPALIVE_SECONDS };
      client = new LinkClient(line, { ...options, patience: usualPatience, packetBytes: undefined }, talk);
      talk.begin(client);
      if (deps.stop.aborted) client.close();
    });
  } catch (error) {
    const { code, message = "" } = error as { code?: unknown; message?: string };
    return { wasThere: false, why: wordsOf({ kind: "error", code: String(code ?? "NETWORK"), message }) };
  } finally {
    deps.stop.removeEventListener("abort", cut);
  }
}

/** One connection, from the CONNACK to the gateway's result or the connection's end. */
class Talk {
  readonly #deps: SendingDeps;
  readonly #sending: Sending;
  readonly #resolve: (ended: Ended) => void;
  #client: LinkClient | undefined;
  #wasThere = false;
  #refusal: string | undefined;
  #result: CommandResult | undefined;

  constructor(deps: SendingDeps, sending: Sending, resolve: (ended: Ended) => void) {
    this.#deps = deps;
    this.#sending = sending;
    this.#resolve = resolve;
  }

  begin(client: LinkClient): void {
    this.#client = client;
  }

  opened(): void {
    const { report, state } = this.#sending.topics;
    void this.#client?.subscribe([report("command"), state]).then(
      () => this.#send(),
      () => undefined,
    );
  }

  received(topic: string, payload: Uint8Array, isRetained: boolean): void {
    const { topics, id } = this.#sending;
    try {
      if (topic === topics.state) {
        // What the broker kept says how it was; what comes now, that the gateway has just begun to listen.
        const { state } = readMessage(stateSchema, payload);
        if (state !== "ready") this.#deps.waits();
        else if (!isRetained) this.#send();
        return;
      }
      const result = readMessage(commandResultSchema, payload);
      if (result.id !== id) return;
      this.#result = result;
      this.#client?.close();
    } catch {
      // No message of the wire: it is the gateway's to be refused elsewhere, and no result.
    }
  }

  ended(end: ClientEnd): void {
    this.#resolve({ result: this.#result, wasThere: this.#wasThere, why: this.#refusal ?? wordsOf(end) });
  }

  #send(): void {
    const { topics, text, expiresAt } = this.#sending;
    const leftMs = expiresAt - this.#deps.nowMs();
    if (leftMs <= 0) return;
    const message = { topic: topics.command, payload: text, qos: 1, expirySeconds: Math.ceil(leftMs / 1000) } as const;
    void this.#client?.publish(message).then(
      (code) => {
        if (code < FIRST_REFUSAL) this.#wasThere = true;
        else this.#refuse(code);
        if (code === NOBODY_LISTENS) this.#deps.waits();
      },
      // Then the connection has ended, and told why.
      () => undefined,
    );
  }

  #refuse(code: number): void {
    const { words, advice } = publishReason(code, this.#sending.topics.command);
    this.#refusal = `${words}. ${advice}`;
    this.#client?.close();
  }
}

function wordsOf(end: ClientEnd): string {
  const { words, advice } = end.kind === "reason" ? reasonOf(end.code) : networkReason(end.code);
  return `${words}${end.message === "" ? "" : `: ${end.message.trim()}`}. ${advice}`;
}
