import type { Path, Problem } from "../../config/problems.ts";
import type { ToolConfig } from "../../config/tools.ts";
import type { ActionClass } from "../../sync/records.ts";
import { type Expression, Expressions, NO_PASS } from "../expressions.ts";
import type { Device } from "../generation.ts";
import { type ReadingSubject, readingDeclarations } from "./reading-names.ts";
import { fillText, fillTopic, filterOf } from "./template.ts";
import type { Arguments } from "./tool.ts";

/** A condition over a message of the bus. */
export interface Reading {
  readonly topic: string;
  /** Whether the payload says yes; why not, where it could not be asked. */
  readonly holds: (payload: unknown, given: Arguments, nowMs: number) => boolean | string;
}

/** A tool's configuration as the act path needs it: seconds became milliseconds, conditions are compiled. */
export interface ToolPlan {
  readonly name: string;
  readonly config: ToolConfig;
  readonly class: ActionClass;
  /** Arguments without which it can not be used. */
  readonly needs: readonly string[];
  readonly timeoutMs: number;
  readonly executeWithinMs: number;
  readonly approveWithinMs: number;
  /** Tries after the first one; 0 for what is not idempotent. */
  readonly retries: number;
  readonly breaker: { readonly failures: number; readonly openMs: number };
  readonly perMinute: number | undefined;
  readonly perTargetPerHour: number | undefined;
  readonly minimumMs: number;
  readonly exclusive: { readonly group: string; readonly holdMs: number } | undefined;
  readonly requires: readonly (Reading & { readonly maxAgeMs: number })[];
  readonly verify: (Reading & { readonly withinMs: number }) | undefined;
}

const SECOND_MS = 1000;

/** Compiles what a tool says of readings; mistakes go to `problems`. */
export function planTool(
  name: string,
  config: ToolConfig,
  needs: readonly string[],
  device: Device,
  problemAt: (path: Path, message: string, hint?: string) => Problem,
  problems: Problem[],
): ToolPlan {
  const at: Path = ["tools", name];
  const reading = (topic: string, when: string, path: Path): Reading => {
    // A set of values of its own: what one message says must not be seen by another condition.
    const expressions = new Expressions(readingDeclarations(device));
    const compiled = expressions.compile(when, "condition");
    if (!compiled.ok) for (const one of compiled.problems) problems.push(problemAt(path, one.message, one.hint));
    return { topic, holds: compiled.ok ? asker(expressions, compiled.expression) : () => false };
  };
  const { limits, verify, interlocks } = config;
  return {
    name,
    config,
    class: config.class,
    needs,
    timeoutMs: config.timeoutSeconds * SECOND_MS,
    executeWithinMs: config.executeWithinSeconds * SECOND_MS,
    approveWithinMs: config.approveWithinSeconds * SECOND_MS,
    retries: config.idempotent ? config.retries : 0,
    breaker: { failures: config.breaker.failures, openMs: config.breaker.openSeconds * SECOND_MS },
    perMinute: limits?.perMinute,
    perTargetPerHour: limits?.perTargetPerHour,
    minimumMs: (limits?.minimumSecondsBetween ?? 0) * SECOND_MS,
    exclusive:
      interlocks?.exclusive === undefined
        ? undefined
        : { group: interlocks.exclusive.group, holdMs: interlocks.exclusive.holdSeconds * SECOND_MS },
    requires: (interlocks?.requires ?? []).map((one, index) => ({
      ...reading(one.topic, one.when, [...at, "interlocks", "requires", index, "when"]),
      maxAgeMs: one.maxAgeSeconds * SECOND_MS,
    })),
    verify:
      verify === undefined
        ? undefined
        : {
            ...reading(verify.topic, verify.when, [...at, "verify", "when"]),
            withinMs: verify.withinSeconds * SECOND_MS,
          },
  };
}

function asker(expressions: Expressions, condition: Expression): Reading["holds"] {
  return (payload, given, nowMs) => {
    const subject: ReadingSubject = { payload, arguments: given };
    expressions.bind(NO_PASS, undefined, nowMs, subject);
    const truth = condition.test();
    return typeof truth === "boolean" ? truth : truth.message;
  };
}

/** What an action is about, for limits and interlocks; undefined when an argument does not fit, or is not there. */
export function targetOf({ config, needs }: ToolPlan, given: Arguments): string | undefined {
  if (needs.some((name) => !Object.hasOwn(given, name))) return undefined;
  if (config.target !== undefined) return fillText(config.target, given);
  return config.kind === "mqtt" ? fillTopic(config.topic, given) : "";
}

/** All topics that the tools want to hear. */
export function watchedFilters(plans: Iterable<ToolPlan>): string[] {
  const filters = new Set<string>();
  for (const { verify, requires } of plans) {
    if (verify !== undefined) filters.add(filterOf(verify.topic));
    for (const { topic } of requires) filters.add(filterOf(topic));
  }
  return [...filters];
}
