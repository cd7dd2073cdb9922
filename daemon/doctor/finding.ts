import { type CheckId, type Problem, problemsOf } from "./catalogue.ts";

export type Level = "ok" | "warning" | "error" | "skipped";

/** What one check saw of one thing. */
export interface Finding {
  readonly check: CheckId;
  readonly level: Level;
  /** What it is about, where a check looks at several: a broker, a file, a model. */
  readonly subject?: string;
  /** Which of the check's problems; only with a warning or an error. */
  readonly problem?: string;
  readonly found: string;
  readonly expected?: string;
  /** One sentence: what to do about it. */
  readonly todo?: string;
}

export interface Told {
  readonly subject?: string | undefined;
  readonly found: string;
  readonly expected: string;
  /** For the `{name}`s of what to do. */
  readonly values?: Readonly<Record<string, string | number>>;
}

export function ok(check: CheckId, found: string, subject?: string): Finding {
  return { check, level: "ok", ...(subject === undefined ? {} : { subject }), found };
}

export function skipped(check: CheckId, why: string, subject?: string): Finding {
  return { check, level: "skipped", ...(subject === undefined ? {} : { subject }), found: why };
}

/** A problem of the catalogue, with what was seen of it. */
export function problem<C extends CheckId>(check: C, name: Problem<C>, told: Told): Finding {
  const entry = problemsOf(check)[name];
  if (entry === undefined) throw new TypeError(`${check} has no problem ${name}`);
  const { subject, found, expected, values = {} } = told;
  return {
    ...{ check, level: entry.severity, problem: name },
    ...(subject === undefined ? {} : { subject }),
    ...{ found, expected, todo: filled(entry.todo, values) },
  };
}

function filled(text: string, values: Readonly<Record<string, string | number>>): string {
  return text.replaceAll(/\{(\w+)\}/g, (_all, name: string) => {
    const value = values[name];
    if (value === undefined) throw new TypeError(`"${text}" wants {${name}}`);
    return String(value);
  });
}
