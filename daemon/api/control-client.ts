import { connect, type Socket } from "node:net";
import { DaemonError } from "../errors.ts";
import { CONTROL_PROTOCOL, type Hello, lineSplitter, type Reply } from "./protocol.ts";
import { socketPath } from "./socket-path.ts";

interface Call {
  readonly dataDirectory: string;
  readonly verb: string;
  readonly parameters?: Record<string, unknown>;
  readonly onItem?: (item: unknown) => void;
  readonly signal?: AbortSignal;
}

/**
 * Asks the daemon of a data directory. Resolves with the result; `onItem` gets each line of a stream.
 * Throws NOT_RUNNING when nobody listens, SOCKET_PROTOCOL when the daemon is of another generation of the protocol.
 */
export async function callDaemon(call: Call): Promise<unknown> {
  const socket = await open(call.dataDirectory);
  return await new Promise<unknown>((resolve, reject) => {
    const finish = (settle: () => void): void => {
      socket.destroy();
      settle();
    };
    call.signal?.addEventListener("abort", () => finish(() => resolve(null)), { once: true });
    const onLine = (text: string): void => {
      const line = JSON.parse(text) as Reply | Hello;
      if ("holdfast" in line) {
        if (line.protocol !== CONTROL_PROTOCOL) {
          finish(() =>
            reject(
              new DaemonError(
                "SOCKET_PROTOCOL",
                { daemon: line.version },
                { hint: "Restart the service after an upgrade." },
              ),
            ),
          );
        }
      } else if ("item" in line) call.onItem?.(line.item);
      else if ("result" in line) finish(() => resolve(line.result));
      else finish(() => reject(new Error(line.error.message)));
    };
    socket.setEncoding("utf8");
    socket.on(
      "data",
      lineSplitter(onLine, () => socket.destroy(), 67_108_864),
    );
    socket.on("error", (cause) => reject(new DaemonError("NOT_RUNNING", {}, { cause })));
    socket.on("close", () => reject(new DaemonError("NOT_RUNNING", { reason: "the daemon closed the connection" })));
    socket.write(`${JSON.stringify({ verb: call.verb, parameters: call.parameters ?? {} })}\n`);
  });
}

async function open(dataDirectory: string): Promise<Socket> {
  const path = socketPath(dataDirectory);
  return await new Promise<Socket>((resolve, reject) => {
    const socket = connect(path, () => resolve(socket));
    socket.once("error", (cause) =>
      reject(new DaemonError("NOT_RUNNING", { path }, { cause, hint: "Start it with: holdfast run --config FILE" })),
    );
  });
}
