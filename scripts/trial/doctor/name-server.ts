import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { childPath } from "../../../daemon/children.ts";
import { NEAR } from "../cable/network.ts";

/** A name server that knows no name at all, in a process of its own: this one waits for the machine's commands. */
export class NameServer {
  #child: ChildProcess | undefined;

  async start(): Promise<void> {
    this.#child = fork(childPath("scripts/trial/doctor/name-server-main"), [NEAR]);
    await once(this.#child, "message");
  }

  /** Questions come in, and nothing goes out. */
  silence(): void {
    this.#child?.kill("SIGSTOP");
  }

  speak(): void {
    this.#child?.kill("SIGCONT");
  }

  stop(): void {
    this.#child?.kill("SIGKILL");
  }
}
