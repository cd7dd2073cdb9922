import { createConnection, createServer, type Server, type Socket } from "node:net";

/** How a line between a gateway and the broker behaves. */
export interface Trouble {
  readonly kind: "well" | "cut" | "halfOpen" | "slow" | "late" | "refused";
  readonly bytesPerSecond?: number;
  readonly delayMs?: number;
}

const TICK_MS = 20;

/** A TCP line of our own: cut, half open (nothing passes and nobody says so), slow, late. */
export class Line {
  readonly #pairs = new Set<readonly [Socket, Socket]>();
  #server: Server | undefined;
  #trouble: Trouble = { kind: "well" };
  #awayUntilMs = 0;
  /** The broker's port; may be given later. */
  to: number;
  port = 0;
  bytesUp = 0;

  constructor(to: number) {
    this.to = to;
  }

  async start(): Promise<void> {
    const server = createServer({ pauseOnConnect: true }, (near) => this.#accept(near));
    this.#server = server;
    await new Promise<void>((resolve) => server.listen(this.port, "127.0.0.1", resolve));
    const address = server.address();
    this.port = typeof address === "object" && address !== null ? address.port : 0;
  }

  be(trouble: Trouble): void {
    this.#trouble = trouble;
    if (trouble.kind === "cut" || trouble.kind === "refused")
      for (const pair of this.#pairs) for (const end of pair) end.destroy();
  }

  /** Nothing gets through for so long, whatever else becomes of the line meanwhile. */
  away(forMs: number): void {
    this.#awayUntilMs = performance.now() + forMs;
    for (const pair of this.#pairs) for (const end of pair) end.destroy();
  }

  async stop(): Promise<void> {
    this.be({ kind: "cut" });
    await new Promise<void>((resolve) =>
      this.#server === undefined ? resolve() : this.#server.close(() => resolve()),
    );
  }

  #accept(near: Socket): void {
    if (this.#trouble.kind === "refused" || performance.now() < this.#awayUntilMs) {
      near.destroy();
      return;
    }
    const far = createConnection(this.to, "127.0.0.1");
    const pair = [near, far] as const;
    this.#pairs.add(pair);
    const end = (): void => {
      this.#pairs.delete(pair);
      near.destroy();
      far.destroy();
    };
    for (const socket of pair) {
      socket.setNoDelay(true);
      socket.on("error", end);
      socket.on("close", end);
    }
    this.#carry(near, far, (bytes) => (this.bytesUp += bytes));
    this.#carry(far, near, () => undefined);
    near.resume();
  }

  /** A bounded piece at a time, so that a slow line holds its sender back as a real one does. */
  #carry(from: Socket, to: Socket, count: (bytes: number) => void): void {
    from.on("data", (bytes: Buffer) => {
      from.pause();
      void this.#pass(bytes, to).then(() => {
        count(bytes.length);
        from.resume();
      });
    });
  }

  async #pass(bytes: Buffer, to: Socket): Promise<void> {
    for (let at = 0; at < bytes.length && !to.destroyed; ) {
      const { kind, bytesPerSecond = 0, delayMs = 0 } = this.#trouble;
      if (kind === "halfOpen") {
        await sleep(TICK_MS);
        continue;
      }
      if (kind === "late") await sleep(delayMs);
      const most = kind === "slow" ? Math.max(1, Math.floor((bytesPerSecond * TICK_MS) / 1000)) : bytes.length;
      to.write(bytes.subarray(at, at + most));
      at += most;
      if (kind === "slow") await sleep(TICK_MS);
    }
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
