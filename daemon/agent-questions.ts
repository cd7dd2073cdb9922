import type { InferResult } from "../models/inference.ts";
import type { ArgumentValue } from "./act/tool.ts";
import type { Questions } from "./agent.ts";
import type { Clock } from "./clock.ts";
import type { Ledger } from "./ledger.ts";
import type { Pass } from "./pass.ts";
import type { Answered, Queries } from "./queries.ts";
import type { CompiledQueries, CompiledQuery } from "./query-plan.ts";

export interface AgentQuestionsDeps {
  readonly clock: Pick<Clock, "bootMs" | "wallMs">;
  readonly queries: Pick<Queries, "ask">;
  readonly ledger: Pick<Ledger, "note">;
}

/** A pass that asked, until its decision. */
interface Held {
  readonly pass: Pass;
  readonly answers: (Answered | undefined)[];
  open: number;
  result: InferResult | undefined;
  isReady: boolean;
  timer: NodeJS.Timeout | undefined;
}

const MOST_HELD = 512;
const LONGEST_TIMER_MS = 2 ** 31 - 1;

const LATE: Answered = { ok: false, reason: "late" };
const NO_ARGUMENT: Answered = { ok: false, reason: "argument" };

/**
 * Asks what the rules of one agent want to know, while its model runs, and holds a pass back until it is known, its
 * tool gave up or the pass's deadline is there. Passes of one key leave in the order in which they came.
 */
export class AgentQuestions implements Questions {
  onReady: (pass: Pass, result: InferResult) => void = () => undefined;
  readonly #deps: AgentQuestionsDeps;
  readonly #compiled: CompiledQueries;
  readonly #quotedNames: readonly string[];
  readonly #held = new Map<Pass, Held>();
  readonly #lines = new Map<string, Held[]>();

  constructor(deps: AgentQuestionsDeps, compiled: CompiledQueries) {
    this.#deps = deps;
    this.#compiled = compiled;
    this.#quotedNames = compiled.list.map(({ name }) => JSON.stringify(name));
  }

  /** How many more passes may wait for answers. */
  room(): number {
    return MOST_HELD - this.#held.size;
  }

  ask(pass: Pass): void {
    const { list, expressions } = this.#compiled;
    const held: Held = {
      pass,
      answers: list.map(() => undefined),
      open: list.length,
      result: undefined,
      isReady: false,
      timer: undefined,
    };
    this.#held.set(pass, held);
    const line = this.#lines.get(pass.key);
    if (line === undefined) this.#lines.set(pass.key, [held]);
    else line.push(held);
    expressions.bind(pass, undefined, 0);
    const given = list.map(argumentsOf);
    for (const [at, { tool }] of list.entries()) {
      const one = given[at];
      const known =
        one === undefined
          ? NO_ARGUMENT
          : this.#deps.queries.ask(tool, one, (answer) => this.#answered(held, at, answer));
      if (known === undefined) continue;
      held.answers[at] = known;
      held.open -= 1;
    }
  }

  /** The model has answered, or there is none. */
  settled(pass: Pass, result: InferResult): void {
    const held = this.#held.get(pass);
    if (held === undefined) {
      this.onReady(pass, result);
      return;
    }
    held.result = result;
    const leftMs = pass.deadlineBootMs - this.#deps.clock.bootMs();
    // Without the model's answer no rule is asked.
    if (!result.ok || held.open === 0 || leftMs <= 0) this.#ready(held);
    else held.timer = setTimeout(() => this.#ready(held), Math.min(leftMs, LONGEST_TIMER_MS));
  }

  #answered(held: Held, at: number, answer: Answered): void {
    if (held.isReady) return;
    held.answers[at] = answer;
    held.open -= 1;
    if (held.open === 0 && held.result !== undefined) this.#ready(held);
  }

  #ready(held: Held): void {
    const { key } = held.pass;
    held.isReady = true;
    clearTimeout(held.timer);
    const line = this.#lines.get(key) ?? [];
    for (let first = line[0]; first?.isReady === true; first = line[0]) {
      line.shift();
      if (line.length === 0) this.#lines.delete(key);
      this.#held.delete(first.pass);
      this.#leave(first);
    }
  }

  #leave({ pass, answers, result }: Held): void {
    const { clock, ledger } = this.#deps;
    if (result?.ok === true) {
      const values = Object.create(null) as Record<string, unknown>;
      let text = "";
      for (const [at, { name }] of this.#compiled.list.entries()) {
        const answer = answers[at] ?? LATE;
        if (answer.ok) {
          values[name] = answer.value;
          text += `${text === "" ? "" : ","}${this.#quotedNames[at]}:${answer.text}`;
        } else ledger.note(`query:${name}:${answer.reason}`, clock.wallMs());
      }
      pass.queries = values;
      if (text !== "") pass.queriesText = `{${text}}`;
    }
    this.onReady(pass, result as InferResult);
  }
}

/** Undefined where an argument has no value that can be used. Of the values that are bound now. */
function argumentsOf({ arguments: given }: CompiledQuery): Record<string, ArgumentValue> | undefined {
  const values: Record<string, ArgumentValue> = {};
  for (const [name, argument] of given) {
    const value = typeof argument === "object" ? argument.value() : argument;
    const isText = typeof value === "string" && value.length <= MOST_CHARS;
    if (!isText && typeof value !== "number" && typeof value !== "boolean") return undefined;
    values[name] = value;
  }
  return values;
}

const MOST_CHARS = 1024;
