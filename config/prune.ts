import type { z } from "zod";
import type { Path } from "./problems.ts";
import { partOfValue } from "./schema-tree.ts";

/** What is left of a value when all that its schema refuses is taken out. */
export interface Pruned<T> {
  readonly data: T;
  /** The path in the original of a path in `data`: entries of lists may have moved up. */
  readonly originalPath: (path: Path) => Path;
}

const MOST_ROUNDS = 30;

/**
 * Takes out what `schema` refuses until the rest fits, so that a misspelt key in one place does not hide a mistake of
 * another kind in the next. Undefined when nothing useful is left.
 */
export function prune<T>(schema: z.ZodType<T>, original: unknown): Pruned<T> | undefined {
  const value = structuredClone(original);
  const origins = new Map<unknown[], number[]>();
  for (let round = 0; round < MOST_ROUNDS; round++) {
    const parsed = schema.safeParse(value);
    if (parsed.success) return { data: parsed.data, originalPath: (path) => originalPath(value, origins, path) };
    const refused = parsed.error.issues.flatMap((issue) => refusedPaths(value, issue));
    if (refused.some((path) => path.length === 0)) return undefined;
    remove(value, refused, origins);
  }
  return undefined;
}

function refusedPaths(value: unknown, issue: z.core.$ZodIssue): Path[] {
  const { path } = issue;
  if (issue.code === "unrecognized_keys") return issue.keys.map((key) => [...path, key]);
  // A map of no known kind, and one without a key it must have, can only go as a whole.
  if ("discriminator" in issue && issue.discriminator !== undefined) return [path.slice(0, -1)];
  return [at(value, path) === undefined ? path.slice(0, -1) : path];
}

function at(value: unknown, path: Path): unknown {
  return path.reduce<unknown>((here, part) => partOfValue(here, part), value);
}

function remove(value: unknown, paths: readonly Path[], origins: Map<unknown[], number[]>): void {
  const gone = new Map<unknown[], Set<number>>();
  for (const path of paths) {
    const holder = at(value, path.slice(0, -1));
    const part = path.at(-1);
    if (Array.isArray(holder)) gone.set(holder, (gone.get(holder) ?? new Set()).add(Number(part)));
    else if (holder !== undefined && part !== undefined) delete (holder as Record<PropertyKey, unknown>)[part];
  }
  for (const [list, indexes] of gone) {
    const before = origins.get(list) ?? [...list.keys()];
    origins.set(
      list,
      before.filter((_, index) => !indexes.has(index)),
    );
    const kept = list.filter((_, index) => !indexes.has(index));
    list.splice(0, list.length, ...kept);
  }
}

function originalPath(value: unknown, origins: ReadonlyMap<unknown[], number[]>, path: Path): Path {
  let here = value;
  return path.map((part) => {
    const moved = Array.isArray(here) && typeof part === "number" ? origins.get(here)?.[part] : undefined;
    here = partOfValue(here, part);
    return moved ?? part;
  });
}
