import { createPrivateKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { type CertificateFacts, spkiHash } from "../../sync/certificate-facts.ts";
import { requestText } from "../../sync/enrolment.ts";
import type { FleetKeys } from "../../sync/fleet-keys.ts";
import { wireVersion } from "../../sync/messages.ts";
import type { Outgoing } from "../../sync/send-queue.ts";
import { gatewayTopics } from "../../sync/topics.ts";
import type { IdentityFiles } from "./identity-files.ts";
import { certificateIn } from "./joining.ts";

interface Link {
  publish(message: Outgoing): Promise<number>;
  state(): { readonly state: string; readonly attempts: number };
}

interface Fields {
  readonly reason?: string;
  readonly err?: unknown;
}

interface Deps {
  readonly link: Link;
  readonly files: IdentityFiles;
  /** The fleet's clock where it is known: a gateway's own may stand at 1970. */
  readonly nowMs: () => number;
  readonly log: { info(fields: Fields, message: string): void; warn(fields: Fields, message: string): void };
}

interface Options {
  readonly fleet: string;
  readonly gateway: string;
  readonly keys: FleetKeys;
}

const LOOK_MS = 60_000;
const MINUTE_MS = 60_000;
const ASK_AGAIN_MS = 10 * MINUTE_MS;
const REFUSED_MS = 6 * 60 * MINUTE_MS;
const FAILED_MS = 24 * 60 * MINUTE_MS;
const EXPIRY_SECONDS = 60;
/** Attempts with one pair before it is the other one's turn. */
const ATTEMPTS = 3;

/**
 * From when on a certificate is to be renewed: two thirds of its life, and up to a twelfth later by its key, so that not all
 * of a fleet come at one time.
 */
export function renewalDueMs({ notBeforeMs, notAfterMs, keyHash }: CertificateFacts): number {
  const lifeMs = notAfterMs - notBeforeMs;
  const share = Number.parseInt(keyHash.slice(0, 8), 16) / 0x1_0000_0000;
  return Math.round(notBeforeMs + lifeMs * (2 / 3 + share / 12));
}

export function renewalDue(facts: CertificateFacts, nowMs: number): boolean {
  return nowMs >= renewalDueMs(facts);
}

/**
 * Gets the gateway a new key and certificate before the old one expires, over the link that the old one keeps up. Both
 * are kept until a connection was made with the new pair; where none comes to be, they take turns.
 */
export class Renewer {
  readonly name = "renewer";
  readonly #deps: Deps;
  readonly #options: Options;
  /** Attempts of the link when the pair was changed: a later one that holds was made with it. */
  #attemptsBefore = 0;
  /** The certificate that came last. */
  #newest: string | undefined;
  /** The certificate of the pair that is used, as far as it was seen. */
  #used: string | undefined;
  #notBeforeMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #turn: Promise<void> = Promise.resolve();

  constructor(deps: Deps, options: Options) {
    this.#deps = deps;
    this.#options = options;
  }

  async start(): Promise<void> {
    this.#timer = setInterval(() => this.look(), LOOK_MS);
    this.#timer.unref();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#turn;
  }

  /** Looks whether something is to be done; called each minute, and when the link is up. */
  look(): void {
    this.#turn = this.#turn.then(() => this.#look()).catch((err: unknown) => this.#failed(err));
  }

  /** An answer of the fleet on `down/enrol`. */
  heard(payload: Uint8Array): void {
    this.#turn = this.#turn.then(() => this.#heard(payload)).catch((err: unknown) => this.#failed(err));
  }

  /** Resolves when all that was begun is done. */
  async settled(): Promise<void> {
    await this.#turn;
  }

  async #look(): Promise<void> {
    const { link, files, nowMs } = this.#deps;
    const { state, attempts } = link.state();
    const isConnected = state === "connected";
    this.#notice(attempts);
    if (files.hasOther() && attempts > this.#attemptsBefore) {
      if (isConnected) this.#settle();
      // Not while one is under way: it has read the pair that is used now.
      else if (state === "waiting" && attempts - this.#attemptsBefore >= ATTEMPTS) this.#swap(attempts);
    }
    const current = files.current();
    if (current === undefined || !isConnected || files.hasOther()) return;
    const now = nowMs();
    if (now < this.#notBeforeMs || !renewalDue(current.facts, now)) return;
    this.#notBeforeMs = now + ASK_AGAIN_MS;
    await this.#ask();
  }

  /** A pair that somebody put there meanwhile, as `holdfast enroll` does, is one that has to show that it works too. */
  #notice(attempts: number): void {
    const certificate = this.#deps.files.current()?.certificate;
    if (this.#used !== undefined && certificate !== this.#used) {
      this.#attemptsBefore = attempts;
      this.#newest = certificate;
    }
    this.#used = certificate;
  }

  async #ask(): Promise<void> {
    const { link, files, log } = this.#deps;
    const { fleet, gateway } = this.#options;
    const current = files.current();
    if (current === undefined) return;
    const { certificateRequest } = await import("../../sync/certificates.ts");
    const request = await certificateRequest(gateway, files.nextKey());
    const { certificate, key } = current;
    const body = { v: wireVersion, kind: "certificateRequest", fleet, gateway, request, certificate } as const;
    const payload = requestText(body, createPrivateKey(key));
    log.info({}, "asks for a new certificate");
    // Whether it got there shows by the answer; without one it is asked again.
    const topic = gatewayTopics(fleet, gateway).report("csr");
    await link.publish({ topic, payload, qos: 1, expirySeconds: EXPIRY_SECONDS }).catch(() => 0);
  }

  #heard(payload: Uint8Array): void {
    const { link, files, log } = this.#deps;
    if (!files.hasNext()) return;
    const ca = readFileSync(files.paths.ca, "utf8");
    const certificate = certificateIn(payload, spkiHash(files.nextKey()), { ...this.#options, ca });
    this.#attemptsBefore = link.state().attempts;
    files.finish(certificate);
    this.#newest = this.#used = certificate;
    log.info({}, "has a new certificate; the next connection is made with it");
  }

  #settle(): void {
    const { files, log, nowMs } = this.#deps;
    const isOld = this.#newest !== undefined && files.current()?.certificate !== this.#newest;
    files.settle();
    if (isOld) {
      this.#notBeforeMs = nowMs() + FAILED_MS;
      log.warn({}, "the new certificate did not work: the one before is used again");
    } else log.info({}, "the new certificate works");
  }

  #swap(attempts: number): void {
    this.#attemptsBefore = attempts;
    this.#deps.files.swap();
    this.#used = this.#deps.files.current()?.certificate;
    this.#deps.log.warn({}, "no connection with this certificate: the other one is tried");
  }

  #failed(err: unknown): void {
    const { code, detail } = err as { code?: string; detail?: { why?: unknown; reason?: unknown } };
    if (code === "JOIN_REFUSED") this.#notBeforeMs = this.#deps.nowMs() + REFUSED_MS;
    const reason = String(detail?.why ?? detail?.reason ?? code);
    this.#deps.log.warn({ err, reason }, "the certificate was not renewed");
  }
}
