import type { ActionState } from "../../sync/records.ts";
import type { Clock } from "../clock.ts";
import { crashpoint } from "../crashpoint.ts";
import type { Action } from "./action.ts";
import type { Limits } from "./limits.ts";
import type { ModeView } from "./proposer.ts";
import type { Readings } from "./readings.ts";
import { Slots } from "./slots.ts";
import type { Step } from "./steps.ts";
import type { Sent, Tool, ToolCall } from "./tool.ts";

export interface ExecutorDeps {
  readonly clock: Clock;
  readonly tools: ReadonlyMap<string, Tool>;
  readonly modes: ModeView;
  readonly isLatched: () => boolean;
  readonly limits: Limits;
  readonly readings: Readings;
  /** Writes down a step of an action's life. */
  readonly step: (action: Action, step: Step) => void;
  /** A task was handed to a person, who says when it is taken. */
  readonly handedOver: (action: Action) => void;
}

/** How an action stands that did not get through: what it ends as when it can not be tried again. */
interface Fallen {
  readonly state: ActionState;
  readonly reason: string;
  /** It was broken off, which says nothing of the tool. */
  readonly unrelated?: true;
}

/** Why an action may not leave. */
interface Refusal extends Fallen {
  /** It may in a while. */
  readonly again: boolean;
}

/** One try under way. */
interface Try {
  readonly action: Action;
  readonly attempt: number;
  readonly abort: AbortController;
  /** Ends the wait for the readback. */
  readonly giveUp: AbortController;
  isOver: Promise<void>;
  left: boolean;
  refusal: Refusal | undefined;
  shown: Promise<unknown> | undefined;
}

/** Nothing left, so it was no try; it may in a while. */
interface Waiting {
  readonly waitsFor: string;
}

/** over: nothing more comes. Fallen: it left, and may be tried again. */
type Next = "over" | Waiting | Fallen;

/** A reason of our own: an exception would be made for each action. */
const NO_MORE = "nobody waits any more";
const FIRST_PAUSE_MS = 50;
const LAST_PAUSE_MS = 1000;
/** How long a stop waits for the answers to what has left as a whole. */
const ANSWERS_WITHIN_MS = 1000;
/** Uses of one tool at once where each costs a connection or a process. */
const AT_ONCE = 8;
/** Where it does not: more than any line to a broker takes, so that it never runs dry. The others wait in order. */
const CHEAP_AT_ONCE = 128;

/**
 * Brings actions whose intents are on disk into the world: each once, or again where that changes nothing, before its
 * execute-before, and never past what a person said meanwhile. Every step is a record.
 */
export class Executor {
  readonly #deps: ExecutorDeps;
  readonly #slots: Slots;
  readonly #running = new Map<string, Action>();
  /** Those that may still leave. */
  readonly #tries = new Set<Try>();
  /** Those and the ones that wait for their readback. */
  readonly #open = new Set<Try>();
  /** Ends the pauses of those that look again after a while. */
  readonly #pauses = new Set<() => void>();
  #isStopping = false;

  constructor(deps: ExecutorDeps) {
    this.#deps = deps;
    this.#slots = new Slots((tool) => (deps.tools.get(tool)?.isCheap === true ? CHEAP_AT_ONCE : AT_ONCE));
  }

  get running(): number {
    return this.#running.size;
  }

  /** The action's intent is on disk. `fallen`: it was tried by an earlier start, and this is what is known of it. */
  start(action: Action, attempt = 1, fallen?: Fallen): void {
    this.#running.set(action.id, action);
    void this.#run(action, attempt, fallen);
  }

  /** Breaks off what is under way, and waits until nothing of it can still leave. Notifications go on. */
  async settle(): Promise<void> {
    const under = [...this.#tries].filter((one) => one.action.plan.class !== "notify");
    const hasLeft = ({ left, action }: Try): boolean =>
      left && this.#deps.tools.get(action.plan.name)?.leavesWhole === true;
    for (const one of under) if (!hasLeft(one)) one.abort.abort();
    this.#lookAgain();
    const late = setTimeout(() => {
      for (const one of under) one.abort.abort();
    }, ANSWERS_WITHIN_MS);
    await Promise.all(under.map((one) => one.isOver));
    clearTimeout(late);
  }

  /** Lets what is under way end within bounds; what has not left does not leave any more. */
  async stop(withinMs: number): Promise<void> {
    this.#isStopping = true;
    this.#lookAgain();
    const late = setTimeout(() => {
      for (const one of this.#tries) one.abort.abort();
    }, withinMs);
    await Promise.all([...this.#tries].map((one) => one.isOver));
    clearTimeout(late);
    this.#lookAgain();
  }

  async #run(action: Action, first: number, before: Fallen | undefined): Promise<void> {
    if (action.intent.dryRun === true) {
      this.#finish(action, { state: "dryRun", reason: "the tool was left out" });
      return;
    }
    let attempt = first;
    let fallen = before;
    for (let waits = 0; ; waits++) {
      const next = await this.#try(action, attempt, fallen);
      if (next === "over") return;
      if ("waitsFor" in next) {
        // What expires says what it waited for.
        if (attempt === 1) fallen = { state: "expired", reason: `executeBefore: ${next.waitsFor}` };
      } else {
        fallen = next;
        attempt += 1;
      }
      const leftMs = action.intent.executeBefore.bootMs - this.#deps.clock.bootMs();
      await this.#pause(Math.min(LAST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(waits, 10), Math.max(1, leftMs)));
    }
  }

  async #try(action: Action, attempt: number, fallen: Fallen | undefined): Promise<Next> {
    const early = this.#refusal(action);
    if (early !== undefined) return this.#refused(action, early, fallen);
    const { plan } = action;
    const tool = this.#deps.tools.get(plan.name);
    if (tool === undefined) return this.#finish(action, { state: "failed", reason: "there is no such tool" });
    const turn = this.#slots.take(plan.name);
    if (turn !== undefined) {
      await turn;
      const late = this.#refusal(action);
      if (late !== undefined) {
        this.#slots.release(plan.name);
        return this.#refused(action, late, fallen);
      }
    }
    const one: Try = {
      action,
      attempt,
      abort: new AbortController(),
      giveUp: new AbortController(),
      isOver: Promise.resolve(),
      left: false,
      refusal: undefined,
      shown: undefined,
    };
    const sending = this.#send(tool, one);
    one.isOver = sending.then(() => undefined);
    this.#tries.add(one);
    this.#open.add(one);
    const sent = await sending;
    this.#tries.delete(one);
    this.#slots.release(plan.name);
    crashpoint("act.left");
    const next =
      one.refusal === undefined ? await this.#became(one, sent, fallen) : this.#refused(action, one.refusal, fallen);
    one.giveUp.abort(NO_MORE);
    this.#open.delete(one);
    return next;
  }

  /** A tool that breaks its promise not to reject must not end the daemon, start after start. */
  async #send(tool: Tool, one: Try): Promise<Sent> {
    try {
      return await tool.send(this.#call(one), () => this.#gate(one), one.abort.signal);
    } catch (error) {
      const reason = `the tool broke: ${(error as Error).message}`;
      return one.left ? { kind: "unknown", reason } : { kind: "failed", reason, left: false, permanent: true };
    }
  }

  #call({ action, attempt }: Try): ToolCall {
    const { id, intent, plan, trace } = action;
    const remainingMs = Math.max(0, intent.executeBefore.bootMs - this.#deps.clock.bootMs());
    return {
      id,
      idempotencyKey: intent.idempotencyKey,
      tool: plan.name,
      class: plan.class,
      arguments: intent.arguments,
      private: intent.private,
      attempt,
      timeoutMs: plan.timeoutMs,
      remainingMs,
      agent: intent.agent,
      key: intent.key,
      rule: intent.rule,
      decision: intent.decision,
      trace,
    };
  }

  /** The last look before something leaves, in the same turn of the loop. From here on it counts as sent. */
  #gate(one: Try): boolean {
    if (one.left || one.refusal !== undefined) return false;
    const { action, attempt, giveUp } = one;
    const { intent, plan } = action;
    one.refusal = one.abort.signal.aborted
      ? { state: "suppressed", reason: "stopped", again: true }
      : this.#refusal(action);
    if (one.refusal !== undefined) return false;
    const limit = this.#deps.limits.leave({ plan, target: intent.target, isDry: false });
    if (limit !== undefined) {
      one.refusal = { state: "limited", reason: limit, again: true };
      return false;
    }
    one.left = true;
    this.#deps.step(action, { state: "sent", attempt });
    if (plan.verify !== undefined)
      one.shown = this.#deps.readings.shown(
        plan.verify,
        intent.arguments,
        plan.timeoutMs + plan.verify.withinMs,
        giveUp.signal,
      );
    crashpoint("act.leave");
    return true;
  }

  /** Why it may not leave now. */
  #refusal({ intent, plan }: Action): Refusal | undefined {
    const { clock, isLatched, modes, readings } = this.#deps;
    if (this.#isStopping) return { state: "failed", reason: "the daemon stopped before it left", again: false };
    if (clock.bootMs() >= intent.executeBefore.bootMs)
      return { state: "expired", reason: "executeBefore", again: false };
    if (plan.class !== "notify" && isLatched()) return { state: "suppressed", reason: "latched", again: false };
    const off = modes.isOff(intent.agent, plan.name);
    if (off !== undefined) return { state: "suppressed", reason: off, again: false };
    const mode = modes.effective(intent.agent, plan.name);
    if (mode === "observe" || mode === "dryRun") return { state: "suppressed", reason: mode, again: false };
    // Nobody was asked when it was intended; now somebody would be.
    const isAsked = mode === "approve" && plan.class !== "notify" && !plan.config.safeDirection;
    if (isAsked && intent.proposal === undefined) return { state: "suppressed", reason: mode, again: false };
    const interlock = readings.refusal(plan, intent.arguments);
    return interlock === undefined ? undefined : { state: "limited", reason: interlock, again: false };
  }

  /** What left once ends as what is known of it, not as what keeps it from leaving again. */
  #refused(action: Action, refusal: Refusal, fallen: Fallen | undefined): Next {
    if (refusal.again) return { waitsFor: refusal.reason };
    const isKnown = fallen !== undefined && (fallen.state !== "expired" || refusal.state === "expired");
    return this.#finish(action, isKnown ? fallen : stepOf(refusal));
  }

  async #became(one: Try, sent: Sent, fallen: Fallen | undefined): Promise<Next> {
    const { action, attempt } = one;
    const cut = one.abort.signal.aborted ? { unrelated: true as const } : {};
    switch (sent.kind) {
      case "handedOver":
        this.#running.delete(action.id);
        this.#deps.handedOver(action);
        return "over";
      case "acknowledged":
        if (action.plan.verify === undefined)
          return this.#finish(action, { state: "acknowledged", attempt, readback: sent.detail });
        this.#deps.step(action, { state: "acknowledged", attempt });
        return await this.#verified(one, { state: "unverified", reason: "the readback did not show it in time" });
      case "unknown":
        return await this.#verified(one, { state: "unknown", reason: sent.reason, ...cut });
      case "failed": {
        const failed: Fallen = { state: "failed", reason: sent.reason, ...cut };
        if (!sent.left) {
          // Nothing left: it may wait, whatever the tool, until its time is over.
          const end = attempt > 1 && fallen !== undefined ? fallen : failed;
          if (sent.permanent === true) return this.#finish(action, end);
          if (this.#isStopping) return this.#finish(action, { ...end, unrelated: true });
          return { waitsFor: sent.reason };
        }
        return sent.permanent !== true && this.#mayAgain(one) ? failed : this.#finish(action, { ...failed, attempt });
      }
    }
  }

  /** What left is as good as what the plant shows of it. */
  async #verified(one: Try, otherwise: Fallen): Promise<Next> {
    const { action, attempt } = one;
    // The plant has its time from when the other side has it, or should have had it.
    const late = setTimeout(() => one.giveUp.abort(), action.plan.verify?.withinMs ?? 0);
    const shown = (await one.shown) as { readonly payload: unknown } | undefined;
    clearTimeout(late);
    if (shown !== undefined) return this.#finish(action, { state: "verified", attempt, readback: shown.payload });
    // The next start asks the plant how it went.
    if (this.#isStopping && action.plan.verify !== undefined) return "over";
    return this.#mayAgain(one) ? otherwise : this.#finish(action, { ...otherwise, attempt });
  }

  #mayAgain({ action, attempt }: Try): boolean {
    return attempt <= action.plan.retries && !this.#isStopping;
  }

  #finish(action: Action, step: Step): "over" {
    this.#running.delete(action.id);
    this.#deps.step(action, { ...step, final: true });
    return "over";
  }

  #pause(ms: number): Promise<void> {
    return new Promise<void>((resolve) => {
      const over = (): void => {
        clearTimeout(timer);
        this.#pauses.delete(over);
        resolve();
      };
      const timer = setTimeout(over, ms);
      this.#pauses.add(over);
    });
  }

  /** Whatever waits looks again at once. */
  #lookAgain(): void {
    for (const over of [...this.#pauses]) over();
    if (!this.#isStopping) return;
    this.#slots.letGo();
    for (const one of this.#open) one.giveUp.abort(NO_MORE);
  }
}

/** The end of an action that never left. */
function stepOf({ state, reason }: Refusal): Step {
  return { state, reason, ...(state === "failed" ? { unrelated: true } : {}) };
}
