import { type IncomingHttpHeaders, type IncomingMessage, request } from "node:http";
import type { Gate, Sent } from "../tool.ts";
import { dial, type Line, networkWords, type Resolve } from "./dial.ts";
import { type Cut, oneTry, refused, stopped, unknown } from "./one-try.ts";

export interface HttpRequest {
  readonly url: URL;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer | undefined;
  readonly ca: string | undefined;
  readonly privateAddress: boolean;
  readonly timeoutMs: number;
}

/** What came back. The body is cut off where it is too long, late or broken: `isWhole` says whether. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly isWhole: boolean;
}

const MOST_BODY_BYTES = 64 * 1024;
const MOST_HEADER_BYTES = 16 * 1024;

/**
 * One request on a connection of its own: one that was kept from before may be dead, and then nobody knows what became
 * of the request. The gate is asked when the connection stands, in the turn in which the request is written. `judge`
 * says what an answer means; redirects are answers like others.
 */
export function exchange(
  wanted: HttpRequest,
  resolve: Resolve,
  gate: Gate,
  signal: AbortSignal,
  judge: (answer: HttpAnswer) => Sent,
): Promise<Sent> {
  return oneTry(wanted.timeoutMs, signal, (end) => {
    let phase: "dialling" | "written" | "answered" = "dialling";
    let answer: { head: IncomingMessage; body: Buffer[]; bytes: number } | undefined;
    const finish = (isWhole: boolean): void => {
      if (answer === undefined) return;
      const { head, body } = answer;
      end(judge({ status: head.statusCode ?? 0, headers: head.headers, body: Buffer.concat(body), isWhole }));
      if (isWhole) line.hangUp();
      else line.breakOff();
    };
    const failed = (reason: string): void => {
      if (phase === "answered") finish(false);
      else end(phase === "written" ? unknown(reason) : refused(reason, false));
      line.breakOff();
    };
    const answered = (head: IncomingMessage): void => {
      phase = "answered";
      const taken = { head, body: [] as Buffer[], bytes: 0 };
      answer = taken;
      head.on("data", (chunk: Buffer) => {
        taken.body.push(chunk.subarray(0, MOST_BODY_BYTES - taken.bytes));
        taken.bytes += chunk.length;
        if (taken.bytes > MOST_BODY_BYTES) finish(false);
      });
      head.on("end", () => finish(true));
      head.on("error", () => finish(false));
      head.on("close", () => finish(false));
    };
    const mayLeave = (): boolean => {
      if (gate()) phase = "written";
      return phase === "written";
    };
    const refuse = (): void => {
      end(stopped);
      line.breakOff();
    };
    const line = dial(dialling(wanted, resolve), (made) => {
      if ("reason" in made) return end(refused(made.reason, made.permanent));
      try {
        write(wanted, made, { mayLeave, stopped: refuse, answered, failed });
      } catch (error) {
        failed((error as Error).message); // a header that is none
      }
    });
    return (why: Cut) => failed(why);
  });
}

function dialling(wanted: HttpRequest, resolve: Resolve): Parameters<typeof dial>[0] {
  const { url, ca, privateAddress } = wanted;
  const isTls = url.protocol === "https:";
  return {
    host: url.hostname.replace(/^\[|\]$/g, ""),
    port: Number(url.port) || (isTls ? 443 : 80),
    tls: isTls ? { ca, protocols: ["http/1.1"] } : undefined,
    privateAddress,
    resolve,
  };
}

interface Listener {
  mayLeave(): boolean;
  stopped(): void;
  answered(head: IncomingMessage): void;
  failed(reason: string): void;
}

function write(wanted: HttpRequest, { socket }: Line, listener: Listener): void {
  const sending = request({
    method: wanted.method,
    path: `${wanted.url.pathname}${wanted.url.search}`,
    headers: { ...wanted.headers, Host: wanted.url.host, "Content-Length": wanted.body?.length ?? 0 },
    maxHeaderSize: MOST_HEADER_BYTES,
    setHost: false,
    createConnection: () => socket,
  });
  sending.on("response", (head) => listener.answered(head));
  sending.on("error", (error) => listener.failed(networkWords(error)));
  sending.on("close", () => listener.failed("it closed the connection"));
  sending.once("socket", () => {
    if (socket.destroyed || !socket.writable) listener.failed("it closed the connection");
    else if (listener.mayLeave()) sending.end(wanted.body);
    else listener.stopped();
  });
}
