import { type KeyObject, verify } from "node:crypto";
import { Allowance } from "../../sync/allowance.ts";
import { type Command, commandVerbs, readCommand, untimely } from "../../sync/command.ts";
import { SyncError } from "../../sync/errors.ts";
import type { FleetKeys } from "../../sync/fleet-keys.ts";
import type { Signed } from "../../sync/signing.ts";
import type { Verb } from "../api/control-server.ts";
import { DaemonError } from "../errors.ts";
import type { People, Person } from "../people.ts";
import { StoreError } from "../store/errors.ts";
import type { Store } from "../store/store.ts";

interface Deps {
  readonly control: Pick<Store["control"], "state" | "change">;
  readonly people: Pick<People, "bySignature">;
  readonly keys: FleetKeys;
  /** The fleet's clock as far as it is known, else this machine's. */
  readonly nowMs: () => number;
  readonly bootMs: () => number;
  /** What the person may ask, as if they asked it here. */
  readonly verbsFor: (person: Person) => Readonly<Record<string, Verb>>;
  /** Writes down what came of it. */
  readonly record: (what: string, detail: Readonly<Record<string, unknown>>) => void;
  readonly report: (result: CommandResult) => void;
}

interface Options {
  readonly fleet: string;
  readonly gateway: string;
}

export interface CommandResult {
  readonly id: string;
  readonly state: "done" | "refused";
  readonly reason?: string;
}

/** Known ids; more are forgotten, the oldest first, and by then have expired. */
const MOST_KNOWN = 1000;
/** So many refusals are told at once and then one a minute, with how many there were: a command that is said again and again fills no log. */
const MOST_TOLD = 20;
const TOLD_EACH_MS = 60_000;

/**
 * Does what the fleet asks, once: a command is signed, for this gateway, in time, no copy that a broker kept, and of an id
 * that was never seen. Whoever signed it may do what they may do here: the fleet itself may only stop, tighten and ask for
 * more in the log; a person who signed may loosen where they may here, but never release. Each is a record, also those
 * that are refused, as long as they are few.
 */
export class Commands {
  readonly #deps: Deps;
  readonly #options: Options;
  #known = new Set<string>();
  #refusals = 0;
  /** Apart, so that a stranger's noise hides nothing of what somebody signed. */
  readonly #signed = new Allowance(MOST_TOLD, TOLD_EACH_MS);
  readonly #unsigned = new Allowance(MOST_TOLD, TOLD_EACH_MS);
  #turn: Promise<void> = Promise.resolve();

  constructor(deps: Deps, options: Options) {
    this.#deps = deps;
    this.#options = options;
  }

  async start(): Promise<void> {
    const { inbox } = await this.#deps.control.state();
    this.#known = new Set(inbox);
  }

  /**
   * One after the other, in the order in which they came; but a stop waits for nothing that is under way, which may hang.
   * Never rejects: what goes wrong with one is its refusal.
   */
  heard(payload: Uint8Array, isRetained: boolean): Promise<void> {
    let command: Command | undefined;
    try {
      const received = readCommand(payload);
      const person = this.#signer(received.command, received.signed);
      // Only now: what nobody signed is told to nobody as a command.
      const taken = received.command;
      command = taken;
      this.#assertFits(taken, isRetained);
      this.#known.add(taken.id);
      if (taken.verb === "stop") return this.#one(taken, person);
      this.#turn = this.#turn.then(() => this.#one(taken, person));
      return this.#turn;
    } catch (error) {
      const { reason, code } = whyNot(error);
      this.#refused(command, reason, code);
      return Promise.resolve();
    }
  }

  async #one(command: Command, person: Person): Promise<void> {
    try {
      await this.#remember(command);
      const value = await this.#run(command, person);
      this.#deps.record("command done", { ...shown(command), by: person.name, value });
      this.#deps.report({ id: command.id, state: "done" });
    } catch (error) {
      const { reason, code } = whyNot(error);
      this.#refused(command, reason, code);
    }
  }

  #signer({ person }: Command, signed: Signed): Person {
    if (person !== undefined) {
      const found = this.#deps.people.bySignature(person, Buffer.from(signed.text), signed.signature);
      if (found === undefined) throw new SyncError("SYNC_SIGNATURE", { person });
      return found;
    }
    const key = this.#deps.keys.get(signed.key);
    if (key === undefined || !isSigned(signed, key)) throw new SyncError("SYNC_SIGNATURE", { key: signed.key });
    return { name: `fleet:${signed.key}`, isKnown: false, roles: [] };
  }

  #assertFits(command: Command, isRetained: boolean): void {
    const { fleet, gateway } = this.#options;
    const refuse = (reason: string): never => {
      throw new SyncError("SYNC_COMMAND", { reason });
    };
    if (command.fleet !== fleet || command.gateway !== gateway) refuse("notForUs");
    if (isRetained) refuse("retained");
    if (this.#known.has(command.id)) refuse("seenBefore");
    const late = untimely(command, this.#deps.nowMs());
    if (late !== undefined) refuse(late);
    if (!(commandVerbs as readonly string[]).includes(command.verb)) refuse("notFromAfar");
  }

  /**
   * On disk before anything is done: a crash in between loses the command, and never does it twice. But a disk that takes
   * nothing, or never answers, keeps nobody from stopping: at worst it stops twice.
   */
  async #remember({ id, expiresAt, verb }: Command): Promise<void> {
    const kept = this.#deps.control.change({ kind: "inbox", id, expiresAt, most: MOST_KNOWN });
    // That it was not kept shows by nothing but a second stop.
    if (verb === "stop") kept.catch(() => undefined);
    else await kept;
  }

  async #run({ verb, arguments: given }: Command, person: Person): Promise<unknown> {
    const work = this.#deps.verbsFor(person)[verb];
    if (work === undefined) throw new SyncError("SYNC_COMMAND", { reason: "notFromAfar" });
    const done = (await work({ ...given }, () => undefined, new AbortController().signal)) as
      | { readonly accepted?: boolean; readonly reason?: string; readonly state?: string }
      | undefined;
    if (done?.accepted === false) throw new SyncError("SYNC_COMMAND", { reason: done.reason });
    return done?.state;
  }

  #refused(command: Command | undefined, reason: string, code: string): void {
    this.#refusals += 1;
    if (!(command === undefined ? this.#unsigned : this.#signed).take(this.#deps.bootMs())) return;
    if (command !== undefined) this.#deps.report({ id: command.id, state: "refused", reason });
    const what = command === undefined ? {} : shown(command);
    this.#deps.record("command refused", { ...what, code, reason, refused: this.#refusals });
  }
}

function shown({ id, verb, issuedAt, expiresAt, arguments: given }: Command): Readonly<Record<string, unknown>> {
  return { id, verb, issuedAt, expiresAt, arguments: given };
}

function whyNot(error: unknown): { readonly reason: string; readonly code: string } {
  if (error instanceof SyncError || error instanceof DaemonError)
    return { reason: String(error.detail["reason"] ?? error.code), code: error.code };
  if (error instanceof StoreError) return { reason: "notWrittenDown", code: error.code };
  return { reason: error instanceof Error ? error.message : String(error), code: "FAILED" };
}

function isSigned({ text, signature }: Signed, key: KeyObject): boolean {
  return verify(null, Buffer.from(text), key, Buffer.from(signature, "base64"));
}
