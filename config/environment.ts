import type { z } from "zod";
import { didYouMean } from "./problems.ts";
import { keysOf, stepInto } from "./shape.ts";

const PREFIX = "HOLDFAST__";

interface Options {
  /** Sections that no override may reach: they belong to the generation, whose digest is over its files. */
  readonly sections: readonly string[];
  readonly schema: z.ZodType;
  readonly scalarOf: (text: string) => unknown;
}

export interface EnvironmentFinding {
  readonly variable: string;
  readonly path: string;
  readonly message: string;
  readonly hint?: string;
}

/**
 * Puts HOLDFAST__SECTION__KEY=value into the gateway's sections, in place. Names are compared without case and
 * underscores, since variables are written in capitals: HOLDFAST__STORE__COMMIT_DELAY_MS is store.commitDelayMs.
 */
export function applyEnvironment(
  target: Record<string, unknown>,
  environment: Readonly<Record<string, string | undefined>>,
  options: Options,
): EnvironmentFinding[] {
  const found: EnvironmentFinding[] = [];
  for (const variable of Object.keys(environment).sort()) {
    const text = environment[variable];
    if (!variable.startsWith(PREFIX) || text === undefined) continue;
    const mistake = applyOne(target, variable, text, options);
    if (mistake !== undefined) found.push({ variable, ...mistake });
  }
  return found;
}

function applyOne(target: Record<string, unknown>, variable: string, text: string, options: Options): Omit<EnvironmentFinding, "variable"> | undefined {
  const parts = variable.slice(PREFIX.length).split("__");
  const path: string[] = [];
  let schema: z.ZodType | undefined = options.schema;
  let here: unknown = target;
  for (const part of parts) {
    const known: readonly string[] = schema === undefined ? [] : branchKeys(schema, here);
    const name: string | undefined = known.find((key) => plain(key) === plain(part)) ?? (known.length === 0 && schema !== undefined ? part.toLowerCase() : undefined);
    if (name === undefined) {
      const hint = didYouMean(part.toLowerCase(), known.map((key) => key.toLowerCase())) ?? (known.length > 0 ? `Known here: ${known.join(", ")}.` : undefined);
      return { path: [...path, part].join("."), message: `the environment names an unknown key "${part}"`, ...(hint === undefined ? {} : { hint }) };
    }
    path.push(name);
    if (path.length === 1 && options.sections.includes(name)) {
      return { path: name, message: `the environment can not change ${name}: it belongs to the generation`, hint: "Write it in a file: overrides reach the gateway's own settings only." };
    }
    schema = schema === undefined ? undefined : stepInto(schema, here, name);
    here = (here as Record<string, unknown> | undefined)?.[name];
  }
  put(target, path, options.scalarOf(text));
  return undefined;
}

function branchKeys(schema: z.ZodType, value: unknown): readonly string[] {
  const direct = keysOf(schema);
  if (direct !== undefined) return direct;
  const options = (schema as unknown as { _zod: { def: { options?: readonly z.ZodType[]; innerType?: z.ZodType } } })._zod.def;
  if (options.innerType !== undefined) return branchKeys(options.innerType, value);
  return [...new Set((options.options ?? []).flatMap((option) => keysOf(option) ?? []))];
}

function plain(name: string): string {
  return name.replaceAll("_", "").toLowerCase();
}

function put(target: Record<string, unknown>, path: readonly string[], value: unknown): void {
  let here = target;
  for (const part of path.slice(0, -1)) {
    const next = here[part];
    const copy: Record<string, unknown> = typeof next === "object" && next !== null && !Array.isArray(next) ? { ...next } : {};
    here[part] = copy;
    here = copy;
  }
  here[path.at(-1) as string] = value;
}
