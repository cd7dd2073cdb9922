import { type ChildProcess, fork } from "node:child_process";
import { childPath } from "../../../daemon/children.ts";

/** beside: the same messages to a gateway that is none, so that the machine has as much to do. */
export type Order = "attack" | "beside" | "rest";

/** What was sent to the gateway, by its kind. */
export interface Sent {
  readonly sent: Readonly<Record<string, number>>;
}

/** The process that attacks. */
export class Attacker {
  readonly #child: ChildProcess;
  readonly #sink: ChildProcess;

  private constructor(child: ChildProcess, sink: ChildProcess) {
    this.#child = child;
    this.#sink = sink;
  }

  static async open(folder: string, port: number, rates: { small: number; large: number }): Promise<Attacker> {
    const places = [folder, String(port), String(rates.small), String(rates.large)];
    const child = fork(childPath("scripts/trial/hostile-fleet/attacker-main"), places);
    // What can not be said to it any more is told by its end.
    child.on("error", () => undefined);
    const sink = fork(childPath("scripts/trial/hostile-fleet/sink-main"), places.slice(0, 2));
    const attacker = new Attacker(child, sink);
    await attacker.#told();
    return attacker;
  }

  begin(order: "attack" | "beside"): void {
    this.#child.send(order);
  }

  /** What was sent since the beginning. */
  async rest(): Promise<Sent> {
    const told = this.#told();
    this.#child.send("rest");
    return await told;
  }

  close(): void {
    for (const one of [this.#child, this.#sink]) if (one.connected) one.disconnect();
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
