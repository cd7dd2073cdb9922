import { spkiHash } from "../../sync/certificate-facts.ts";
import { readRequest } from "../../sync/certificates.ts";
import { type CertificateAnswer, type ReadCertificateRequest, readCertificateRequest } from "../../sync/enrolment.ts";
import { wireVersion } from "../../sync/messages.ts";
import { type Signer, signedText } from "../../sync/signing.ts";
import { requestTopic } from "../../sync/topics.ts";
import type { Authority } from "./authority.ts";
import { type Asker, signRequest } from "./desk.ts";
import { EnrolError } from "./errors.ts";
import type { Ledger } from "./ledger.ts";

interface Deps {
  readonly authority: Authority;
  readonly ledger: Ledger;
  readonly signer: Signer;
  readonly nowMs: () => number;
  readonly log: {
    info(fields: object, message: string): void;
    warn(fields: object, message: string): void;
  };
}

export interface Reply {
  readonly topic: string;
  readonly payload: string;
  readonly expirySeconds: number;
}

const EXPIRY_SECONDS = 60;
/** Requests that are worked on; a signature is a millisecond, and a flood is somebody's mistake. */
const MOST_WAITING = 64;

/** Answers gateways that ask for a certificate over the broker: one after the other, each with a certificate or a reason. */
export class EnrolResponder {
  readonly #deps: Deps;
  readonly #fleet: string;
  #waiting = 0;
  #refused = 0;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(deps: Deps, fleet: string) {
    this.#deps = deps;
    this.#fleet = fleet;
  }

  /** Undefined: nothing is to be said, since it is no request of this fleet, or too many wait. */
  handle(topic: string, payload: Uint8Array): Promise<Reply | undefined> {
    const from = requestTopic(topic);
    if (from === undefined || from.fleet !== this.#fleet || this.#waiting >= MOST_WAITING)
      return Promise.resolve(undefined);
    this.#waiting += 1;
    const done = this.#turn.then(() => this.#answer(from, payload)).finally(() => (this.#waiting -= 1));
    // Who asked hears of it through `done`; the next one in the queue has its own turn.
    this.#turn = done.catch(() => undefined);
    return done;
  }

  async #answer(from: NonNullable<ReturnType<typeof requestTopic>>, payload: Uint8Array): Promise<Reply> {
    const { signer, log } = this.#deps;
    const { gateway, isNewcomer, answer: topic } = from;
    const answer = await answerTo(this.#deps, payload, { fleet: this.#fleet, gateway }, isNewcomer);
    if (answer.refused === undefined) log.info({ gateway }, "certificate issued");
    else {
      this.#refused += 1;
      // A flood of them is told ever more rarely.
      if (Number.isInteger(Math.log2(this.#refused)))
        log.warn({ gateway, code: answer.refused, reason: answer.reason }, "certificate refused");
    }
    return { topic, payload: signedText(answer, signer), expirySeconds: EXPIRY_SECONDS };
  }
}

/** What a request gets: for the broker, and for a file that was carried. Throws only where files can not be written. */
export async function answerTo(
  deps: Omit<Deps, "signer" | "log">,
  payload: Uint8Array,
  asker: Asker & { readonly gateway: string },
  isNewcomer: boolean,
): Promise<CertificateAnswer> {
  const answer = { v: wireVersion, kind: "certificate", ...asker, now: Math.floor(deps.nowMs()) } as const;
  let asked: ReadCertificateRequest | undefined;
  try {
    asked = readCertificateRequest(payload);
    // Who has no certificate yet has a token; a bootstrap certificate is none that could be renewed.
    if (isNewcomer && asked.body.token === undefined) throw new EnrolError("ENROL_TOKEN");
    const certificate = await signRequest(deps, asked, asker);
    return { ...answer, for: await keyOf(asked), certificate };
  } catch (error) {
    const { code, detail, message } = error as { code?: string; detail?: { reason?: unknown }; message: string };
    if (!(error instanceof EnrolError) && code?.startsWith("SYNC_") !== true) throw error;
    const refused = error instanceof EnrolError ? error.code : "ENROL_REQUEST";
    return { ...answer, for: await keyOf(asked), refused, reason: String(detail?.reason ?? message).slice(0, 256) };
  }
}

async function keyOf(asked: ReadCertificateRequest | undefined): Promise<string> {
  if (asked === undefined) return "";
  return await readRequest(asked.body.request).then(
    ({ publicKey }) => spkiHash(publicKey),
    () => "",
  );
}
