import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";

/** A network between two ends that takes its time: what goes in comes out so much later, in order, both ways. */
export class SlowLine {
  readonly port: number;
  readonly #server: Server;
  readonly #sockets: ReadonlySet<Socket>;

  private constructor(server: Server, sockets: ReadonlySet<Socket>) {
    this.#server = server;
    this.#sockets = sockets;
    this.port = (server.address() as { port: number }).port;
  }

  static async open(toPort: number, delayMs: number): Promise<SlowLine> {
    const sockets = new Set<Socket>();
    const server = createServer((near) => {
      const far = connect(toPort, "127.0.0.1");
      for (const [from, to] of [
        [near, far],
        [far, near],
      ] as const) {
        from.setNoDelay(true);
        sockets.add(from);
        // Timers of the same length end in the order in which they began.
        from.on("data", (chunk) => setTimeout(() => to.write(chunk), delayMs));
        from.on("error", () => {});
        from.on("close", () => {
          sockets.delete(from);
          setTimeout(() => to.destroy(), delayMs);
        });
      }
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    return new SlowLine(server, sockets);
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}
