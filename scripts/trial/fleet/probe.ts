import type { GatewaySite } from "./gateway-site.ts";
import { wallMs } from "./phases.ts";

/** One question to the gateway, and how long its answer took. */
export interface Asked {
  readonly what: "socket" | "command";
  readonly atMs: number;
  readonly tookMs: number;
}

const SOCKET_EACH_MS = 200;
/** Seldom: a process that starts takes the machine from everybody else for a third of a second. */
const COMMAND_EACH_MS = 30_000;

/** Asks for the status all the time: over the control socket, and now and then by the command that people type. */
export class Probe {
  readonly asked: Asked[] = [];
  readonly failed: string[] = [];
  readonly #site: GatewaySite;
  #isOver = false;
  #work: Promise<unknown> = Promise.resolve();

  constructor(site: GatewaySite) {
    this.#site = site;
  }

  start(): void {
    this.#work = Promise.all([
      this.#ask("socket", SOCKET_EACH_MS, () => this.#site.daemon.status()),
      this.#ask("command", COMMAND_EACH_MS, () => this.#site.holdfast("status", "--json")),
    ]);
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#work;
  }

  async #ask(what: Asked["what"], eachMs: number, ask: () => Promise<unknown>): Promise<void> {
    while (!this.#isOver) {
      const atMs = wallMs();
      try {
        await ask();
        this.asked.push({ what, atMs, tookMs: wallMs() - atMs });
      } catch (error) {
        this.failed.push(`${what}: ${String(error)}`);
      }
      const untilMs = atMs + eachMs;
      while (!this.#isOver && wallMs() < untilMs) await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
