/** A document of the state is some two hundred bytes. */
const MOST_BYTES = 4096;
const MOST_SESSIONS = 8;

/**
 * Whether another client has this gateway's name. A broker may say so when it ends a connection; not every one does. The
 * document that is kept on the gateway's state says it too: after the first connection of a process, only a session of
 * its own may stand there.
 */
export class Identity {
  readonly #tell: () => void;
  readonly #sessions: string[] = [];
  #isTold = false;
  #isDisputed = false;

  /** `tell` is called once for each dispute. */
  constructor(tell: () => void) {
    this.#tell = tell;
  }

  /** Another client had the name before this connection. */
  get isDisputed(): boolean {
    return this.#isDisputed;
  }

  /** A connection is there, with this session. */
  connected(session: string): void {
    this.#isDisputed = false;
    this.#sessions.push(session);
    if (this.#sessions.length > MOST_SESSIONS) this.#sessions.shift();
  }

  /** What is kept on the gateway's state. */
  heard(payload: Uint8Array): void {
    // What an earlier process of this gateway left there can not be told from what another gateway did.
    if (this.#sessions.length < 2 || payload.length > MOST_BYTES) return;
    const session = sessionIn(payload);
    if (session === undefined || this.#sessions.includes(session)) return;
    this.#isDisputed = true;
    this.takenOver();
  }

  takenOver(): void {
    if (this.#isTold) return;
    this.#isTold = true;
    this.#tell();
  }

  /** The name was this one's alone for long: what comes next is another dispute. */
  settled(): void {
    this.#isTold = false;
  }
}

function sessionIn(payload: Uint8Array): string | undefined {
  try {
    const { session } = JSON.parse(Buffer.from(payload).toString()) as { session?: unknown };
    return typeof session === "string" ? session : undefined;
  } catch {
    // Whoever wrote that, it is no state.
    return undefined;
  }
}
