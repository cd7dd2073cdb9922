import { randomBytes } from "node:crypto";
import { usualBackoff } from "./backoff.ts";
import { usualPatience } from "./client-options.ts";
import { dialWithin, type Line, readFiles } from "./dial.ts";
import { SyncError } from "./errors.ts";
import { Identity } from "./identity.ts";
import { type ClientEnd, LinkClient } from "./link-client.ts";
import type { LinkDeps, LinkOptions, LinkState } from "./link-types.ts";
import { type LinkMemory, nextStep, noMemory, UNDISPUTED_MS } from "./next-step.ts";
import { type KnownReason, networkReason, publishReason, type Reason, reasonOf } from "./reasons.ts";
import type { Outgoing } from "./send-queue.ts";
import { type StateDocument, stateDocument } from "./state-document.ts";
import { gatewayTopics } from "./topics.ts";

const FAREWELL_MS = 1000;
const LEAVE_MS = 500;
const FIRST_PACKET_BYTES = 131_072;
const FIRST_REFUSAL = 0x80;

/**
 * The connection to the fleet's broker: made, watched, made again. One client for each connection, so that nothing of an
 * old one is left; certificates are read again each time; what to do next comes from the reason of the end.
 */
export class Link {
  readonly name = "link";
  onUp: (session: string) => void = () => undefined;
  /** Once for each `onUp`. */
  onDown: () => void = () => undefined;
  onMessage: (topic: string, payload: Uint8Array, isRetained: boolean) => void = () => undefined;
  /** Another client took this one's name, for the first time since it was left alone for long. */
  onIdentityConflict: () => void = () => undefined;
  readonly #deps: LinkDeps;
  readonly #options: LinkOptions;
  readonly #stateTopic: string;
  #client: LinkClient | undefined;
  /** Ends the making of a connection. */
  #dialing: AbortController | undefined;
  #session = "";
  #state: LinkState["state"] = "off";
  #sinceMs: number;
  #reason: Reason | undefined;
  #nextAttemptAtMs: number | undefined;
  #memory: LinkMemory = noMemory;
  readonly #identity = new Identity(() => this.onIdentityConflict());
  #attempts = 0;
  #isUp = false;
  #isProven = false;
  #upBootMs = 0;
  #before = { sent: 0, received: 0 };
  #timer: NodeJS.Timeout | undefined;

  constructor(deps: LinkDeps, options: LinkOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#sinceMs = deps.clock.wallMs();
    this.#stateTopic = gatewayTopics(options.fleet, options.gateway).state;
  }

  async start(): Promise<void> {
    this.#wait(this.#deps.random() * this.#options.firstWithinMs);
  }

  /** Says goodbye, within a second and a half. */
  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    this.#dialing?.abort(new Error("stopped"));
    const client = this.#client;
    // First, so that an end from now on plans no other connection.
    this.#turn("off");
    this.#nextAttemptAtMs = undefined;
    if (client !== undefined && this.#isUp) {
      await client.lastWord(this.#document("stopped"), FAREWELL_MS);
      await client.leave(LEAVE_MS);
    }
    client?.close();
  }

  /** Tries now, whatever it waits for. */
  retryNow(): void {
    if (this.#state === "waiting") this.#wait(0);
  }

  /**
   * Resolves with the broker's reason code (0: taken, 16: nobody listens). Rejects with SYNC_LINK_DOWN when the connection
   * is or goes away, SYNC_LINK_TOO_LARGE above `limits()`, and SYNC_LINK_FULL when too many wait.
   */
  async publish(message: Outgoing): Promise<number> {
    if (this.#client === undefined || !this.#isUp) throw new SyncError("SYNC_LINK_DOWN");
    const code = await this.#client.publish(message);
    if (code >= FIRST_REFUSAL) this.#reason = publishReason(code, message.topic);
    return code;
  }

  limits(): { readonly packetBytes: number; readonly underWay: number } {
    return this.#client?.limits ?? { packetBytes: FIRST_PACKET_BYTES, underWay: 1 };
  }

  /** The fleet answered: the connection is good for more than a CONNACK. */
  proven(): void {
    if (!this.#isUp) return;
    this.#isProven = true;
    this.#reason = undefined;
  }

  state(): LinkState {
    const traffic = this.#client?.traffic;
    return {
      ...{ state: this.#state, sinceMs: this.#sinceMs, broker: this.#url(), reason: this.#reason },
      ...{ nextAttemptAtMs: this.#nextAttemptAtMs, attempts: this.#attempts, rttMs: traffic?.roundTripMs },
      bytesSent: this.#before.sent + (traffic?.sent ?? 0),
      bytesReceived: this.#before.received + (traffic?.received ?? 0),
      identityConflict: (this.#identity.isDisputed || this.#memory.takeovers > 0) && this.#upForMs() < UNDISPUTED_MS,
    };
  }

  #url(): string {
    return this.#options.brokers[this.#memory.broker] ?? "";
  }

  #upForMs(): number {
    return this.#isUp ? this.#deps.clock.bootMs() - this.#upBootMs : 0;
  }

  async #connect(): Promise<void> {
    this.#turn("connecting");
    this.#attempts += 1;
    this.#session = randomBytes(8).toString("hex");
    const dialing = new AbortController();
    this.#dialing = dialing;
    let line: Line | undefined;
    try {
      const { proxy, serverName, patience = usualPatience } = this.#options;
      const { password, ...files } = readFiles(this.#deps.files);
      line = await dialWithin(patience.dialMs, { url: this.#url(), proxy, serverName, ...files }, dialing);
      if (dialing.signal.aborted) throw dialing.signal.reason;
      this.#client = this.#open(line, password);
    } catch (error) {
      line?.stream.destroy();
      line?.socket.destroy();
      const { code, message } = error as { code?: unknown; message?: string };
      this.#ended({ kind: "error", code: String(code ?? "NETWORK"), message: message ?? "" });
    }
  }

  #open(line: Line, password: string | undefined): LinkClient {
    const { gateway, keepaliveSeconds, username, patience = usualPatience } = this.#options;
    const { topic, payload } = this.#document("lost");
    return new LinkClient(
      line,
      {
        ...{ url: this.#url(), clientId: gateway, keepaliveSeconds, username, password, patience },
        ...{ will: { topic, payload }, packetBytes: this.#memory.packetBytes[this.#memory.broker] },
      },
      {
        opened: () => void this.#opened(),
        received: (from, bytes, isRetained) => {
          if (from === topic) this.#identity.heard(bytes);
          else this.onMessage(from, bytes, isRetained);
        },
        ended: (end) => this.#ended(end),
      },
    );
  }

  async #opened(): Promise<void> {
    const client = this.#client;
    if (client === undefined) return;
    this.#identity.connected(this.#session);
    try {
      // First, so that what is kept comes before this link's own word replaces it.
      client.lookAt(this.#stateTopic);
      await client.subscribe(this.#options.subscriptions);
    } catch {
      // Then it has ended, and told why.
      return;
    }
    if (this.#client !== client || this.#state !== "connecting") return;
    this.#isUp = true;
    this.#isProven = false;
    this.#upBootMs = this.#deps.clock.bootMs();
    this.#reason = undefined;
    this.#turn("connected");
    this.#deps.log.info({ bus: this.#url() }, "connected to the fleet");
    // What it says of this gateway is worth nothing once the connection is gone.
    void this.publish(this.#document("ready")).catch(() => undefined);
    this.onUp(this.#session);
  }

  #ended(end: ClientEnd): void {
    const client = this.#client;
    this.#before.sent += client?.traffic.sent ?? 0;
    this.#before.received += client?.traffic.received ?? 0;
    const [wasUp, upForMs] = [this.#isUp, this.#upForMs()];
    this.#client = undefined;
    this.#isUp = false;
    if (this.#state !== "off" && this.#state !== "waiting") this.#plan(end, upForMs, client?.largestBytes);
    if (wasUp) this.onDown();
  }

  #plan(end: ClientEnd, upForMs: number, largestBytes: number | undefined): void {
    const { random, log } = this.#deps;
    const { brokers, backoff = usualBackoff } = this.#options;
    const reason = this.#reasonOf(end, upForMs);
    const serverReference = end.kind === "reason" ? end.serverReference : undefined;
    const how = { reason, upForMs, isProven: this.#isProven, serverReference, largestBytes };
    const { code, name, words, advice } = reason;
    this.#reason = { code, name, words: end.message === "" ? words : `${words}: ${end.message}`, advice };
    const bus = this.#url();
    const { memory, delayMs } = nextStep(this.#memory, how, brokers, random(), backoff);
    this.#memory = memory;
    this.#isProven = false;
    if (memory.takeovers === 0) this.#identity.settled();
    if (memory.failures <= 3 || memory.failures % 20 === 0)
      log.warn(
        {
          reason: words,
          bus,
          delayMs: Math.round(delayMs),
          attempt: memory.failures,
          ...(code === undefined ? {} : { code }),
        },
        "no connection to the fleet",
      );
    this.#wait(delayMs);
    if (reason.failure === "takenOver") this.#identity.takenOver();
  }

  #reasonOf(end: ClientEnd, upForMs: number): KnownReason & { readonly code: string | undefined } {
    if (end.kind === "reason") return reasonOf(end.code);
    const isTakenOver = this.#identity.isDisputed && upForMs > 0 && upForMs < UNDISPUTED_MS;
    return networkReason(isTakenOver ? "DISPUTED" : end.code);
  }

  #wait(delayMs: number): void {
    clearTimeout(this.#timer);
    this.#turn("waiting");
    this.#nextAttemptAtMs = this.#deps.clock.wallMs() + delayMs;
    this.#timer = setTimeout(() => {
      this.#nextAttemptAtMs = undefined;
      void this.#connect();
    }, delayMs);
  }

  #turn(state: LinkState["state"]): void {
    if (this.#state !== state && (state === "connected" || this.#state === "connected" || this.#state === "off"))
      this.#sinceMs = this.#deps.clock.wallMs();
    this.#state = state;
  }

  #document(state: "ready" | "stopped" | "lost"): StateDocument {
    const { software } = this.#options;
    return stateDocument(this.#stateTopic, { state, session: this.#session, software, at: this.#deps.clock.wallMs() });
  }
}
