import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { childPath } from "../../../daemon/children.ts";
import type { FromLedger, LedgerLog, ToLedger } from "./ledger-lines.ts";

/** The ledger as the trial sees it. */
export class LedgerProcess {
  readonly port: number;
  readonly #child: ChildProcess;
  readonly #folder: string;
  readonly #waiting = new Map<string, (message: FromLedger) => void>();
  #fences = 0;

  private constructor(child: ChildProcess, port: number, folder: string) {
    this.#child = child;
    this.port = port;
    this.#folder = folder;
    child.on("message", (message: FromLedger) => {
      const name = message.kind === "fence" ? `fence ${message.n}` : message.kind;
      const resolve = this.#waiting.get(name);
      this.#waiting.delete(name);
      resolve?.(message);
    });
  }

  static async start(
    folder: string,
    brokerPort: number,
    data: string,
    keys: readonly string[],
  ): Promise<LedgerProcess> {
    const given = join(folder, "ledger.json");
    writeFileSync(given, JSON.stringify({ brokerPort, data, keys }));
    const child = fork(childPath("scripts/trial/act/ledger"), [given], { stdio: "inherit" });
    const [ready] = (await once(child, "message")) as [Extract<FromLedger, { kind: "ready" }>];
    return new LedgerProcess(child, ready.port, folder);
  }

  silence(on: boolean): void {
    this.#send({ kind: "silence", on });
  }

  /** Whether it may look into the daemon's log; resolves when it does not any more. */
  async look(on: boolean): Promise<void> {
    if (on) this.#send({ kind: "look", on });
    else await this.#ask({ kind: "look", on }, "still");
  }

  /** Resolves when a mark has come that left behind all that is on its way now. `isCut`: not by a broker that is away. */
  async fence(isCut = false): Promise<Extract<FromLedger, { kind: "fence" }>> {
    this.#fences += 1;
    const n = this.#fences;
    return (await this.#ask({ kind: "fence", n, isCut }, `fence ${n}`)) as Extract<FromLedger, { kind: "fence" }>;
  }

  async log(): Promise<LedgerLog> {
    const path = join(this.#folder, "ledger.log");
    await this.#ask({ kind: "save", path }, "saved");
    return JSON.parse(readFileSync(path, "utf8")) as LedgerLog;
  }

  async end(): Promise<void> {
    if (this.#child.exitCode !== null) return;
    const gone = once(this.#child, "exit");
    this.#child.disconnect();
    await gone;
  }

  #send(message: ToLedger): void {
    this.#child.send(message);
  }

  #ask(message: ToLedger, answer: string): Promise<FromLedger> {
    return new Promise((resolve) => {
      this.#waiting.set(answer, resolve);
      this.#send(message);
    });
  }
}
