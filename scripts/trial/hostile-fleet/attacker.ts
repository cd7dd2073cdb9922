import { type ChildProcess, fork } from "node:child_process";
import { childPath } from "../../../daemon/children.ts";

/** What was sent, by its kind, and how much was not since the broker took no more. */
export interface Sent {
  readonly sent: Readonly<Record<string, number>>;
  readonly heldBack: number;
}

/** The process that attacks. */
export class Attacker {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  static async open(folder: string, port: number, rates: { small: number; large: number }): Promise<Attacker> {
    const places = [folder, String(port), String(rates.small), String(rates.large)];
    const child = fork(childPath("scripts/trial/hostile-fleet/attacker-main"), places);
    // What can not be said to it any more is told by its end.
    child.on("error", () => undefined);
    const attacker = new Attacker(child);
    await attacker.#told();
    return attacker;
  }

  attack(): void {
    this.#child.send("attack");
  }

  /** What was sent since the beginning. */
  async rest(): Promise<Sent> {
    const told = this.#told();
    this.#child.send("rest");
    return await told;
  }

  close(): void {
    if (this.#child.connected) this.#child.disconnect();
  }

  #told(): Promise<Sent> {
    return new Promise((resolve, reject) => {
      const ended = (): void => reject(new Error("the attacker ended"));
      this.#child.once("exit", ended);
      this.#child.once("message", (sent: Sent) => {
        this.#child.off("exit", ended);
        resolve(sent);
      });
    });
  }
}
