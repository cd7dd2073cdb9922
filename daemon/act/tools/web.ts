import type { GatewayConfig } from "../../../config/gateway.ts";
import { traceparentOf } from "../../bus/bus.ts";
import type { NamedFiles } from "../../bus/named-files.ts";
import { version } from "../../version.ts";
import type { Gate, Sent, ToolCall } from "../tool.ts";
import { type Resolve, systemResolve } from "./dial.ts";
import { exchange, type HttpAnswer, type HttpRequest } from "./exchange.ts";
import { fileRefused, refused } from "./one-try.ts";

export type Endpoint = GatewayConfig["endpoints"][string];

export interface WebDeps {
  readonly files: NamedFiles;
  /** Looks names up; default: as the system does. */
  readonly resolve?: Resolve | undefined;
}

const MOST_REQUEST_BYTES = 1024 * 1024;
/** What is worth another try: the server was busy, slow or broken, and not: the request is wrong. */
const PASSING = new Set([408, 425, 429]);
/** Visible ASCII: anything else would be another header, or none. */
const TOKEN = /^[\x21-\x7e]+$/;

/** Sends a value as JSON to an endpoint of the gateway's file. */
export async function callEndpoint(
  endpoint: Endpoint,
  what: { readonly method: string; readonly body: unknown },
  call: ToolCall,
  deps: WebDeps,
  gate: Gate,
  signal: AbortSignal,
): Promise<Sent> {
  const made = requestTo(endpoint, what, call, deps.files);
  if ("kind" in made) return made;
  return exchange(made, deps.resolve ?? systemResolve, gate, signal, (answer) => judge(answer, made.url));
}

function requestTo(
  endpoint: Endpoint,
  { method, body }: { readonly method: string; readonly body: unknown },
  call: ToolCall,
  files: NamedFiles,
): HttpRequest | Sent {
  if (!URL.canParse(endpoint.url)) return refused("its URL is not complete");
  const text = Buffer.from(JSON.stringify(body));
  if (text.length > MOST_REQUEST_BYTES) return refused(`the body is larger than ${MOST_REQUEST_BYTES} bytes`);
  let token: string | undefined;
  let ca: string | undefined;
  try {
    // Read at each call: a token that was changed needs no restart.
    token = endpoint.secretFile === undefined ? undefined : files.secret(endpoint.secretFile);
    ca = endpoint.caFile === undefined ? undefined : files.text(endpoint.caFile);
  } catch (error) {
    return fileRefused(error);
  }
  if (token !== undefined && !TOKEN.test(token))
    return refused("the secret is not one word of plain characters", false);
  const traceparent = traceparentOf(call.trace);
  const headers = {
    "Content-Type": "application/json",
    "User-Agent": `holdfast/${version()}`,
    "Idempotency-Key": call.idempotencyKey,
    ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
    ...(traceparent === undefined ? {} : { traceparent }),
  };
  const { privateAddress } = endpoint;
  return { url: new URL(endpoint.url), method, headers, body: text, ca, privateAddress, timeoutMs: call.timeoutMs };
}

/** What an answer means. Only its status counts. */
function judge({ status, headers }: HttpAnswer, url: URL): Sent {
  if (status >= 200 && status < 300) return { kind: "acknowledged", detail: { status } };
  const failed = { kind: "failed", left: true } as const;
  if (status >= 300 && status < 400)
    return { ...failed, reason: redirectWords(headers.location, url), permanent: true };
  const permanent = status < 500 && !PASSING.has(status);
  const waitMs = retryAfterMs(headers["retry-after"], headers.date);
  return {
    ...failed,
    reason: `status ${status}`,
    permanent,
    ...(waitMs === undefined ? {} : { retryAfterMs: waitMs }),
  };
}

/**
 * No redirect is followed: what was said to the gate of one request would leave again with another, and the endpoint
 * is named in the gateway's file, where the new address belongs.
 */
function redirectWords(location: string | undefined, url: URL): string {
  const isElsewhere =
    location !== undefined && URL.canParse(location, url.href) && new URL(location, url).origin !== url.origin;
  return isElsewhere ? "redirected to another host" : "redirected";
}

/** Seconds, or a date: held against the server's own clock, since ours may be wrong. */
export function retryAfterMs(value: string | undefined, date: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000;
  const wait = Date.parse(value) - Date.parse(date ?? "");
  return Number.isFinite(wait) && wait >= 0 ? wait : undefined;
}
