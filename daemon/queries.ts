import { afterTry, type BreakerLimits, type BreakerState, CLOSED, mayTry, tried } from "./act/breaker.ts";
import type { Arguments } from "./act/tool.ts";
import type { Clock } from "./clock.ts";
import type { Log } from "./log.ts";

/** Why a question has no answer: what agents count by. */
export type Unanswered =
  /** The tool is switched off. */
  | "off"
  /** It failed too often, and rests. */
  | "resting"
  /** Too many other questions are under way. */
  | "busy"
  | "timeout"
  /** The pass could not wait any longer. */
  | "late"
  /** An argument has no value, or one that does not fit. */
  | "argument"
  /** The bus has no connection. */
  | "notConnected"
  /** There was no way to the other side. */
  | "unreachable"
  /** The other side said no. */
  | "refused"
  | "invalidAnswer"
  | "tooLarge"
  | "stopped";

/** What became of a question: a value with its JSON text, or why there is none. */
export type Answered =
  | { readonly ok: true; readonly value: unknown; readonly text: string }
  /** `detail`: for the log. */
  | { readonly ok: false; readonly reason: Unanswered; readonly detail?: string };

/** Whoever asks, set up for one configured tool. */
export interface Asker {
  /** Never rejects. Ends soon after the signal aborts. */
  ask(given: Arguments, timeoutMs: number, signal: AbortSignal): Promise<Answered>;
}

export interface QueryTool {
  readonly asker: Asker;
  readonly timeoutMs: number;
  readonly freshMs: number;
  readonly breaker: BreakerLimits;
}

export interface QueriesDeps {
  readonly clock: Pick<Clock, "bootMs">;
  readonly log: Pick<Log, "warn" | "info">;
  /** A person switched the tool off. */
  readonly isOff: (tool: string) => boolean;
}

type Listener = (answer: Answered) => void;

interface Kept {
  readonly answer: Answered & { readonly ok: true };
  readonly freshUntilBootMs: number;
}

interface UnderWay {
  readonly listeners: Listener[];
  readonly stop: AbortController;
  timer: NodeJS.Timeout | undefined;
}

interface State extends QueryTool {
  readonly name: string;
  /** Oldest first. */
  readonly kept: Map<string, Kept>;
  keptChars: number;
  readonly underWay: Map<string, UnderWay>;
  breaking: BreakerState;
}

/** Different questions of one tool at the same time. */
const MOST_AT_ONCE = 32;
const MOST_KEPT_CHARS = 1_048_576;
/** What a kept answer takes beside its text. */
const KEPT_CHARS = 256;

const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** What says nothing of whether it works. */
const BESIDE_THE_TOOL: readonly Unanswered[] = ["off", "argument", "notConnected", "stopped"];

const OFF: Answered = { ok: false, reason: "off" };
const RESTING: Answered = { ok: false, reason: "resting" };
const BUSY: Answered = { ok: false, reason: "busy" };
const STOPPED: Answered = { ok: false, reason: "stopped" };
const TIMEOUT: Answered = { ok: false, reason: "timeout" };

/**
 * All questions of a gateway. An answer is used again while it is fresh, counted from the moment it was asked for (as
 * RFC 9111, 4.2.3 has it); the same question is under way once, whoever asks; a tool that keeps failing rests.
 */
export class Queries {
  readonly name = "queries";
  readonly #deps: QueriesDeps;
  readonly #tools: ReadonlyMap<string, State>;
  #isStopped = false;

  constructor(deps: QueriesDeps, tools: ReadonlyMap<string, QueryTool>) {
    this.#deps = deps;
    this.#tools = new Map(
      [...tools].map(([name, tool]) => [
        name,
        { ...tool, name, kept: new Map(), keptChars: 0, underWay: new Map(), breaking: CLOSED },
      ]),
    );
  }

  async start(): Promise<void> {}

  async stop(): Promise<void> {
    this.#isStopped = true;
    for (const tool of this.#tools.values())
      for (const [question, one] of tool.underWay) this.#end(tool, question, one, STOPPED);
  }

  /** What is known at once; else undefined, and `listener` is told later, never before this has returned. */
  ask(name: string, given: Arguments, listener: Listener): Answered | undefined {
    const tool = this.#tools.get(name);
    if (tool === undefined || this.#isStopped) return STOPPED;
    if (this.#deps.isOff(name)) return OFF;
    const nowBootMs = this.#deps.clock.bootMs();
    const question = questionText(given);
    const kept = tool.kept.get(question);
    if (kept !== undefined && nowBootMs < kept.freshUntilBootMs) return kept.answer;
    const same = tool.underWay.get(question);
    if (same !== undefined) {
      same.listeners.push(listener);
      return undefined;
    }
    if (!mayTry(tool.breaking, nowBootMs)) return RESTING;
    if (tool.underWay.size >= MOST_AT_ONCE) return BUSY;
    this.#begin(tool, question, given, listener, nowBootMs);
    return undefined;
  }

  /** Questions under way. */
  get waiting(): number {
    let count = 0;
    for (const tool of this.#tools.values()) count += tool.underWay.size;
    return count;
  }

  #begin(tool: State, question: string, given: Arguments, listener: Listener, nowBootMs: number): void {
    const one: UnderWay = { listeners: [listener], stop: new AbortController(), timer: undefined };
    tool.underWay.set(question, one);
    tool.breaking = tried(tool.breaking);
    // Whatever the tool does: when the time is over, nobody waits any longer.
    one.timer = setTimeout(() => this.#end(tool, question, one, TIMEOUT), Math.min(tool.timeoutMs, LONGEST_TIMER_MS));
    const answered = (answer: Answered): void => {
      if (answer.ok) this.#keep(tool, question, { answer, freshUntilBootMs: nowBootMs + tool.freshMs });
      this.#end(tool, question, one, answer);
    };
    void tool.asker.ask(given, tool.timeoutMs, one.stop.signal).then(answered);
  }

  #end(tool: State, question: string, one: UnderWay, answer: Answered): void {
    if (tool.underWay.get(question) !== one) return;
    tool.underWay.delete(question);
    clearTimeout(one.timer);
    one.stop.abort();
    const worked = answer.ok ? true : BESIDE_THE_TOOL.includes(answer.reason) ? undefined : false;
    const rested = tool.breaking.openUntilBootMs !== null;
    tool.breaking = afterTry(tool.breaking, tool.breaker, worked, this.#deps.clock.bootMs());
    const rests = tool.breaking.openUntilBootMs !== null;
    if (rests !== rested) this.#tell(tool, rests, answer);
    for (const listener of one.listeners) listener(answer);
  }

  #tell({ name }: State, rests: boolean, answer: Answered): void {
    const { log } = this.#deps;
    if (!rests) log.info({ part: "queries", tool: name }, "query tool answers again");
    else if (!answer.ok)
      log.warn(
        { part: "queries", tool: name, reason: answer.reason, problem: answer.detail },
        "query tool failed too often and rests; rules that ask it do not fire",
      );
  }

  #keep(tool: State, question: string, kept: Kept): void {
    this.#forget(tool, question);
    tool.kept.set(question, kept);
    tool.keptChars += sizeOf(question, kept);
    for (const oldest of tool.kept.keys()) {
      if (tool.keptChars <= MOST_KEPT_CHARS) return;
      this.#forget(tool, oldest);
    }
  }

  #forget(tool: State, question: string): void {
    const kept = tool.kept.get(question);
    if (kept === undefined) return;
    tool.kept.delete(question);
    tool.keptChars -= sizeOf(question, kept);
  }
}

function sizeOf(question: string, { answer }: Kept): number {
  return question.length + answer.text.length + KEPT_CHARS;
}

/** The same for the same arguments, in whatever order they are written. */
function questionText(given: Arguments): string {
  return JSON.stringify(Object.entries(given).sort(([a], [b]) => (a < b ? -1 : 1)));
}
