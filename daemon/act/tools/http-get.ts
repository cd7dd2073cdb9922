import type { Answered, Asker } from "../../queries.ts";
import type { Arguments, Gate, Sent } from "../tool.ts";
import type { Resolve } from "./dial.ts";
import { exchange, type HttpAnswer } from "./exchange.ts";
import { readAnswer } from "./query-answer.ts";

export interface HttpGetDeps {
  readonly resolve: Resolve;
  /** The bearer token and the certificates, read anew each time. Throw where they can not be read. */
  readonly files: { secret(name: string): string; text(name: string): string };
  readonly mayLeave: Gate;
}

export interface Endpoint {
  readonly url: string;
  readonly secretFile?: string | undefined;
  readonly caFile?: string | undefined;
  readonly privateAddress: boolean;
}

const MOST_URL_CHARS = 2048;

/**
 * Asks by an HTTP GET of an endpoint; arguments are parameters of its URL. No redirect is followed: the new address
 * belongs into the gateway's file.
 */
export function createHttpGet({ url: base, secretFile, caFile, privateAddress }: Endpoint, deps: HttpGetDeps): Asker {
  const { files, resolve, mayLeave } = deps;
  return {
    ask: async (given, timeoutMs, signal) => {
      const url = urlOf(base, given);
      if (url.href.length > MOST_URL_CHARS) return { ok: false, reason: "argument", detail: "the URL is too long" };
      let headers: Record<string, string> = { Accept: "application/json" };
      let ca: string | undefined;
      try {
        if (secretFile !== undefined) headers = { ...headers, Authorization: `Bearer ${files.secret(secretFile)}` };
        if (caFile !== undefined) ca = files.text(caFile);
      } catch (error) {
        return { ok: false, reason: "unreachable", detail: (error as Error).message };
      }
      const wanted = { url, method: "GET", headers, body: undefined, ca, privateAddress, timeoutMs };
      return answeredBy(await exchange(wanted, resolve, mayLeave, signal, judge));
    },
  };
}

function urlOf(base: string, given: Arguments): URL {
  const url = new URL(base);
  for (const [name, value] of Object.entries(given)) url.searchParams.append(name, String(value));
  return url;
}

/** That there was an answer, with what it says. */
function judge(answer: HttpAnswer): Sent {
  return { kind: "acknowledged", detail: readBody(answer) };
}

function readBody({ status, body, isWhole }: HttpAnswer): Answered {
  if (status < 200 || status > 299) return { ok: false, reason: "refused", detail: `status ${status}` };
  if (!isWhole) return { ok: false, reason: "tooLarge", detail: "the answer is too long, or broke off" };
  return readAnswer(body);
}

function answeredBy(sent: Sent): Answered {
  if (sent.kind === "acknowledged") return sent.detail as Answered;
  const detail = "reason" in sent ? sent.reason : sent.kind;
  if (detail === "timeout" || detail === "stopped") return { ok: false, reason: detail };
  return { ok: false, reason: "unreachable", detail };
}
