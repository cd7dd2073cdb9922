import { chmodSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import type { Ask, Question } from "./questions.ts";

const LONGEST_LINE = 16_777_216;
const NAMES: readonly Question[] = ["decisions", "gateways", "gaps", "proposal", "support", "take"];

/** Answers the commands of the same user while this process has the embedded database open: a line of JSON each. */
export class QueryServer {
  readonly name = "questions";
  readonly #path: string;
  readonly #ask: Ask;
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;

  constructor(path: string, ask: Ask) {
    this.#path = path;
    this.#ask = ask;
  }

  async start(): Promise<void> {
    rmSync(this.#path, { force: true });
    const server = createServer((socket) => this.#serve(socket));
    this.#server = server;
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(this.#path, resolve);
    });
    chmodSync(this.#path, 0o600);
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) =>
      this.#server === undefined ? resolve() : this.#server.close(() => resolve()),
    );
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    let text = "";
    socket.setEncoding("utf8");
    socket.on("error", () => socket.destroy());
    socket.on("close", () => this.#sockets.delete(socket));
    socket.on("data", (piece: string) => {
      text += piece;
      if (text.length > LONGEST_LINE) return void socket.destroy();
      for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n")) {
        const line = text.slice(0, at);
        text = text.slice(at + 1);
        void this.#answer(line).then((reply) => socket.write(`${reply}\n`));
      }
    });
  }

  async #answer(line: string): Promise<string> {
    try {
      const { question, asked } = JSON.parse(line) as { question: Question; asked: never };
      if (!NAMES.includes(question)) return JSON.stringify({ error: "there is no such question" });
      return JSON.stringify({ answer: await this.#ask(question, asked) });
    } catch (error) {
      return JSON.stringify({ error: (error as Error).message });
    }
  }
}
