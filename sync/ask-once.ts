import { usualPatience } from "./client-options.ts";
import { dialWithin } from "./dial.ts";
import { SyncError } from "./errors.ts";
import { type ClientEnd, LinkClient } from "./link-client.ts";
import { networkReason, type Reason, reasonOf } from "./reasons.ts";

export interface Question {
  readonly brokers: readonly string[];
  readonly proxy?: string | undefined;
  readonly serverName?: string | undefined;
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
  readonly clientId: string;
  readonly topic: string;
  readonly payload: string;
  readonly answerTopic: string;
  /** How long to wait at one broker for an answer that `isAnswer` takes. */
  readonly withinMs: number;
  readonly stop: AbortSignal;
}

const KEEPALIVE_SECONDS = 45;
const AGAIN_MS = 5000;
const EXPIRY_SECONDS = 60;
const NOBODY_LISTENS = 0x10;
const FIRST_REFUSAL = 0x80;

/** Why a broker gave no answer. */
export interface Unanswered {
  readonly broker: string;
  readonly why: string;
}

/**
 * Connects for one question and its answer, to each broker in turn until one brings it. Asks again while none comes: the
 * other end gives the same answer to the same question. Throws SYNC_LINK_DOWN with what each broker did.
 */
export async function askOnce(question: Question, isAnswer: (payload: Uint8Array) => boolean): Promise<Uint8Array> {
  const unanswered: Unanswered[] = [];
  for (const broker of question.brokers) {
    try {
      return await askAt(broker, question, isAnswer);
    } catch (error) {
      if (question.stop.aborted) break;
      unanswered.push({ broker, why: (error as Error).message });
    }
  }
  throw new SyncError("SYNC_LINK_DOWN", { unanswered });
}

async function askAt(url: string, question: Question, isAnswer: (payload: Uint8Array) => boolean): Promise<Uint8Array> {
  const { ca, certificate, key, proxy, serverName, clientId, topic, payload, answerTopic, withinMs, stop } = question;
  const dialing = new AbortController();
  const cut = (): void => dialing.abort(new Error("stopped"));
  stop.addEventListener("abort", cut, { once: true });
  let client: LinkClient | undefined;
  let again: NodeJS.Timeout | undefined;
  let late: NodeJS.Timeout | undefined;
  try {
    if (stop.aborted) throw new Error("stopped");
    const files = { ca, certificate, key };
    const line = await dialWithin(usualPatience.dialMs, { url, proxy, serverName, ...files }, dialing).catch(told);
    return await new Promise<Uint8Array>((resolve, reject) => {
      let heard = "no answer within the time; does somebody serve who has the CA's folder?";
      const say = (): void => {
        const message = { topic, payload, qos: 1, expirySeconds: EXPIRY_SECONDS } as const;
        void client?.publish(message).then(
          (code) => {
            if (code === NOBODY_LISTENS) heard = "nobody listens there who signs certificates";
            if (code >= FIRST_REFUSAL) reject(new Error(`the broker refuses what is published on ${topic}`));
          },
          () => undefined,
        );
      };
      client = new LinkClient(
        line,
        { url, clientId, keepaliveSeconds: KEEPALIVE_SECONDS, username: undefined, password: undefined, ...quick },
        {
          opened: () =>
            void client?.subscribe([answerTopic]).then(
              () => {
                say();
                again = setInterval(say, AGAIN_MS);
              },
              () => undefined,
            ),
          received: (from, bytes) => void (from === answerTopic && isAnswer(bytes) && resolve(bytes)),
          ended: (end) => reject(new Error(wordsOf(end))),
        },
      );
      late = setTimeout(() => reject(new Error(heard)), withinMs);
      stop.addEventListener("abort", () => reject(new Error("stopped")), { once: true });
    });
  } finally {
    clearInterval(again);
    clearTimeout(late);
    stop.removeEventListener("abort", cut);
    client?.close();
  }
}

const quick = { patience: usualPatience, packetBytes: undefined } as const;

function told(error: unknown): never {
  const { code, message = "" } = error as { code?: unknown; message?: string };
  throw new Error(wordsOf({ kind: "error", code: String(code ?? "NETWORK"), message }), { cause: error });
}

function wordsOf(end: ClientEnd): string {
  const { words, advice }: Pick<Reason, "words" | "advice"> =
    end.kind === "reason" ? reasonOf(end.code) : networkReason(end.code);
  return `${words}${end.message === "" ? "" : `: ${end.message.trim()}`}. ${advice}`;
}
