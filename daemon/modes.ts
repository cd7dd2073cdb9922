import { type Mode, modes as modeNames } from "../config/gateway.ts";
import { DaemonError } from "./errors.ts";
import type { Store } from "./store/store.ts";

export type { Mode } from "../config/gateway.ts";

/** What the record of a change says. */
export interface ModeChange {
  readonly scope: string;
  readonly from: string;
  readonly to: string;
  readonly by: string;
}

interface Deps {
  readonly control: Pick<Store["control"], "state" | "change">;
  /** Writes the record of a change. */
  readonly record: (change: ModeChange) => void;
}

interface Options {
  /** The gateway file's mode: nobody goes beyond it. */
  readonly ceiling: Mode | undefined;
  readonly agents: readonly string[];
  readonly tools: readonly string[];
}

const GATEWAY = "gateway";
const SWITCH = "switch:";

/** The least that any of them allows; without any, everything. */
export function mostRestrictive(given: readonly Mode[]): Mode {
  const least = Math.min(modeNames.length - 1, ...given.map((mode) => modeNames.indexOf(mode)));
  return modeNames[Math.max(0, least)] as Mode;
}

export function isMode(text: unknown): text is Mode {
  return modeNames.includes(text as Mode);
}

/** What the gateway, its agents and its tools may do. Kept in control.db; the most restrictive counts. */
export class Modes {
  readonly name = "modes";
  readonly #deps: Deps;
  readonly #options: Options;
  readonly #set = new Map<string, string>();
  /** How often each scope was changed: a change that waited for the disk must not undo a later one. */
  readonly #turns = new Map<string, number>();
  #isLoaded = false;

  constructor(deps: Deps, options: Options) {
    this.#deps = deps;
    this.#options = options;
  }

  async start(): Promise<void> {
    const { modes } = await this.#deps.control.state();
    for (const [scope, mode] of Object.entries(modes)) this.#set.set(scope, mode);
    this.#isLoaded = true;
  }

  async stop(): Promise<void> {}

  /** What may be done by this agent with this tool. An agent or a tool without a name has no scope of its own. */
  effective(agent = "", tool = ""): Mode {
    // What nobody has read yet allows nothing.
    if (!this.#isLoaded) return "observe";
    const all = [this.#options.ceiling ?? "auto", this.#of(GATEWAY)];
    if (agent !== "") all.push(this.#of(`agent:${agent}`));
    if (tool !== "") all.push(this.#of(`tool:${tool}`));
    return mostRestrictive(all);
  }

  isOff(agent: string, tool: string): "agentOff" | "toolOff" | undefined {
    if (agent !== "" && !this.#isOn(`agent:${agent}`)) return "agentOff";
    return tool !== "" && !this.#isOn(`tool:${tool}`) ? "toolOff" : undefined;
  }

  /** Everything that somebody has set, by scope; for people to look at. */
  scopes(): Readonly<Record<string, string>> {
    return Object.fromEntries([...this.#set].sort(([one], [other]) => (one < other ? -1 : 1)));
  }

  get ceiling(): Mode | undefined {
    return this.#options.ceiling;
  }

  /** Less may be done afterwards, or the same: nobody needs a role for that. */
  isTightening(scope: string, to: Mode): boolean {
    return modeNames.indexOf(to) <= modeNames.indexOf(this.#of(scope));
  }

  async set(scope: string, to: Mode, by: string): Promise<void> {
    this.#assertKnown(scope);
    const { ceiling } = this.#options;
    if (ceiling !== undefined && mostRestrictive([ceiling, to]) !== to)
      throw new DaemonError("MODE_CEILING", { file: ceiling, asked: to }, { hint: "Change `mode` in the file." });
    await this.#change(scope, this.#of(scope), to, by, this.isTightening(scope, to));
  }

  /** `scope` is agent:NAME or tool:NAME. */
  async switch(scope: string, isOn: boolean, by: string): Promise<void> {
    this.#assertKnown(scope);
    if (scope === GATEWAY)
      throw new DaemonError(
        "MODE_SCOPE",
        { scope },
        { hint: 'The gateway as a whole is stopped: holdfast stop "why".' },
      );
    await this.#change(`${SWITCH}${scope}`, this.#isOn(scope) ? "on" : "off", isOn ? "on" : "off", by, !isOn);
  }

  /** Tightening counts at once and is written then; loosening counts only once it is written. */
  async #change(scope: string, from: string, to: string, by: string, isTighter: boolean): Promise<void> {
    const turn = (this.#turns.get(scope) ?? 0) + 1;
    this.#turns.set(scope, turn);
    if (isTighter) {
      this.#set.set(scope, to);
      this.#deps.record({ scope, from, to, by });
    }
    try {
      await this.#deps.control.change({ kind: "mode", scope, mode: to });
    } catch (cause) {
      const hint = isTighter ? "It counts until the daemon restarts." : "Nothing has changed.";
      throw new DaemonError("MODE_NOT_KEPT", { scope, to }, { cause, hint });
    }
    if (isTighter || this.#turns.get(scope) !== turn) return;
    this.#set.set(scope, to);
    this.#deps.record({ scope, from, to, by });
  }

  #of(scope: string): Mode {
    const mode = this.#set.get(scope);
    if (mode === undefined) return scope === GATEWAY ? (this.#options.ceiling ?? "observe") : "auto";
    // A mode of a later version, or a damaged one: nothing is allowed that is not understood.
    return isMode(mode) ? mode : "observe";
  }

  #isOn(scope: string): boolean {
    const set = this.#set.get(`${SWITCH}${scope}`);
    return set === undefined || set === "on";
  }

  #assertKnown(scope: string): void {
    const [kind, name] = [scope.slice(0, scope.indexOf(":")), scope.slice(scope.indexOf(":") + 1)];
    if (scope === GATEWAY) return;
    if (kind === "agent" && this.#options.agents.includes(name)) return;
    if (kind === "tool" && this.#options.tools.includes(name)) return;
    throw new DaemonError("MODE_SCOPE", { scope }, { hint: "holdfast agents and holdfast tools list them." });
  }
}
