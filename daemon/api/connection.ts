import { connect, type Socket } from "node:net";
import { DaemonError, type DaemonErrorCode, daemonErrors } from "../errors.ts";
import { CONTROL_PROTOCOL, type Hello, lineSplitter, type Reply, type Request } from "./protocol.ts";
import { socketPath } from "./socket-path.ts";

const LONGEST_LINE_BYTES = 67_108_864;

/** How long the other side may take, where somebody can not wait for ever. */
export interface Patience {
  /** Until it says anything at all. */
  readonly helloMs?: number | undefined;
  /** Until it has answered a question. */
  readonly answerMs?: number | undefined;
}

interface Question {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly onItem: ((item: unknown) => void) | undefined;
  timer: NodeJS.Timeout | undefined;
}

/** One connection to the daemon's socket, by which one question after another is asked. */
export class Connection {
  readonly #socket: Socket;
  readonly #patience: Patience;
  #question: Question | undefined;
  #hello: NodeJS.Timeout | undefined;
  #end: DaemonError | undefined;

  private constructor(socket: Socket, patience: Patience) {
    this.#socket = socket;
    this.#patience = patience;
    this.#hello = this.#timer(patience.helloMs);
    socket.setEncoding("utf8");
    socket.on(
      "data",
      lineSplitter(
        (text) => this.#hear(text),
        () => socket.destroy(),
        LONGEST_LINE_BYTES,
      ),
    );
    socket.on("error", (cause) => this.#finish(new DaemonError("NOT_RUNNING", {}, { cause })));
    socket.on("close", () =>
      this.#finish(new DaemonError("NOT_RUNNING", { reason: "the daemon closed the connection" })),
    );
  }

  /** Throws NOT_RUNNING when nobody listens. */
  static async open(dataDirectory: string, patience: Patience = {}): Promise<Connection> {
    const path = socketPath(dataDirectory);
    const hint = "Start it with: systemctl start holdfast, or from source: holdfast run --config FILE";
    const socket = await new Promise<Socket>((resolve, reject) => {
      const opening = connect(path, () => resolve(opening));
      opening.once("error", (cause) => reject(new DaemonError("NOT_RUNNING", { path }, { cause, hint })));
    });
    return new Connection(socket, patience);
  }

  async ask(request: Request, onItem?: (item: unknown) => void): Promise<unknown> {
    return await new Promise<unknown>((resolve, reject) => {
      if (this.#end !== undefined) {
        reject(this.#end);
        return;
      }
      this.#question = { resolve, reject, onItem, timer: this.#timer(this.#patience.answerMs) };
      this.#socket.write(`${JSON.stringify({ verb: request.verb, parameters: request.parameters ?? {} })}\n`);
    });
  }

  close(): void {
    this.#finish(new DaemonError("NOT_RUNNING", { reason: "the connection was closed" }));
  }

  #timer(ms: number | undefined): NodeJS.Timeout | undefined {
    if (ms === undefined) return undefined;
    return setTimeout(() => this.#finish(new DaemonError("NO_ANSWER", { waitedMs: ms })), ms);
  }

  #hear(text: string): void {
    const line = JSON.parse(text) as Reply | Hello;
    clearTimeout(this.#hello);
    if ("holdfast" in line) {
      if (line.protocol === CONTROL_PROTOCOL) return;
      const hint = "Restart the service after an upgrade.";
      this.#finish(new DaemonError("SOCKET_PROTOCOL", { daemon: line.version }, { hint }));
    } else if ("item" in line) this.#question?.onItem?.(line.item);
    else {
      const question = this.#question;
      this.#question = undefined;
      clearTimeout(question?.timer);
      if ("result" in line) question?.resolve(line.result);
      else question?.reject(failure(line.error));
    }
  }

  #finish(error: DaemonError): void {
    this.#end ??= error;
    clearTimeout(this.#hello);
    clearTimeout(this.#question?.timer);
    this.#question?.reject(this.#end);
    this.#question = undefined;
    this.#socket.destroy();
  }
}

/** The daemon's refusal, with its code where this version knows it. */
function failure({ code, message, detail, hint }: Extract<Reply, { error: unknown }>["error"]): Error {
  if (!Object.hasOwn(daemonErrors, code)) return new Error(message);
  return new DaemonError(code as DaemonErrorCode, detail ?? {}, hint === undefined ? {} : { hint });
}
