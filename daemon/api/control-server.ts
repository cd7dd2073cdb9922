import { chmodSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { DaemonError } from "../errors.ts";
import type { Log } from "../log.ts";
import { CONTROL_PROTOCOL, lineSplitter, type Reply, type Request } from "./protocol.ts";

/**
 * Answers one verb: returns the result, or calls `item` for each line of a stream until `signal` aborts. The signal is
 * that of the connection, and stands for it.
 */
export type Verb = (
  parameters: Record<string, unknown>,
  item: (value: unknown) => void,
  signal: AbortSignal,
) => unknown | Promise<unknown>;

interface Deps {
  readonly path: string;
  readonly version: string;
  readonly verbs: Readonly<Record<string, Verb>>;
  readonly log: Log;
}

/** A slow reader of a stream is cut off here: the daemon must not grow for it. */
const SLOWEST_READER_BYTES = 4_194_304;

/** The daemon's Unix socket: newline-delimited JSON, for the commands of the same machine. */
export class ControlServer {
  readonly name = "control";
  readonly #deps: Deps;
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;

  constructor(deps: Deps) {
    this.#deps = deps;
  }

  async start(): Promise<void> {
    // The store's lock is held by now, so a socket file that is still there belongs to a daemon that died.
    rmSync(this.#deps.path, { force: true });
    const server = createServer((socket) => this.#serve(socket));
    this.#server = server;
    await new Promise<void>((resolve, reject) => {
      server.once("error", (cause) => reject(new DaemonError("SOCKET_TAKEN", { path: this.#deps.path }, { cause })));
      server.listen(this.#deps.path, resolve);
    });
    chmodSync(this.#deps.path, 0o660);
  }

  async stop(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    const gone = new AbortController();
    socket.setEncoding("utf8");
    socket.on("error", () => socket.destroy());
    socket.on("close", () => {
      gone.abort();
      this.#sockets.delete(socket);
    });
    write(socket, { holdfast: "control", protocol: CONTROL_PROTOCOL, version: this.#deps.version });
    const split = lineSplitter(
      (text) => void this.#answer(socket, text, gone.signal),
      () => socket.destroy(),
    );
    socket.on("data", split);
  }

  async #answer(socket: Socket, text: string, signal: AbortSignal): Promise<void> {
    try {
      const request = JSON.parse(text) as Request;
      if (request.verb === undefined) return; // the other side's hello
      const verb = Object.hasOwn(this.#deps.verbs, request.verb) ? this.#deps.verbs[request.verb] : undefined;
      if (verb === undefined) {
        reply(socket, { error: { code: "UNKNOWN_VERB", message: `This daemon has no verb "${request.verb}".` } });
        return;
      }
      const result = await verb(request.parameters ?? {}, (item) => reply(socket, { item }), signal);
      reply(socket, { result: result ?? null });
    } catch (error) {
      this.#deps.log.debug({ part: this.name, err: error }, "request failed");
      reply(socket, { error: told(error) });
    }
  }
}

function told(error: unknown): Extract<Reply, { error: unknown }>["error"] {
  if (!(error instanceof DaemonError))
    return { code: "REQUEST_FAILED", message: error instanceof Error ? error.message : String(error) };
  const { code, message, detail, hint } = error;
  return { code, message, detail, ...(hint === undefined ? {} : { hint }) };
}

function reply(socket: Socket, line: Reply): void {
  write(socket, line);
  if (socket.writableLength > SLOWEST_READER_BYTES) socket.destroy();
}

function write(socket: Socket, line: unknown): void {
  if (!socket.destroyed) socket.write(`${JSON.stringify(line)}\n`);
}
