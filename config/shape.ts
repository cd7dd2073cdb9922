import type { z } from "zod";
import type { Path } from "./problems.ts";

interface Inner {
  readonly type: string;
  readonly innerType?: z.ZodType;
  readonly shape?: Readonly<Record<string, z.ZodType>>;
  readonly valueType?: z.ZodType;
  readonly element?: z.ZodType;
  readonly options?: readonly z.ZodType[];
  readonly discriminator?: string;
}

function inner(schema: z.ZodType): Inner {
  return (schema as unknown as { _zod: { def: Inner } })._zod.def;
}

/** The schema without optional, default and prefault around it. */
export function unwrap(schema: z.ZodType): z.ZodType {
  const { innerType } = inner(schema);
  return innerType === undefined ? schema : unwrap(innerType);
}

/** The keys that a schema allows; undefined where any name goes. */
export function keysOf(schema: z.ZodType): readonly string[] | undefined {
  const { shape } = inner(unwrap(schema));
  return shape === undefined ? undefined : Object.keys(shape);
}

/** The schema one step inside; `value` chooses the branch of a union by its discriminator. */
export function stepInto(schema: z.ZodType, value: unknown, part: PropertyKey): z.ZodType | undefined {
  const def = inner(unwrap(schema));
  if (def.options !== undefined) {
    const branch = chooseBranch(def, value);
    return branch === undefined ? undefined : stepInto(branch, value, part);
  }
  return def.shape?.[String(part)] ?? def.valueType ?? def.element;
}

function chooseBranch(def: Inner, value: unknown): z.ZodType | undefined {
  const { discriminator } = def;
  const options = def.options ?? [];
  if (discriminator === undefined) return options.find((option) => inner(unwrap(option)).shape !== undefined);
  const found = (value as Record<string, unknown> | undefined)?.[discriminator];
  return options.find((option) => {
    const kind = inner(option).shape?.[discriminator];
    return kind !== undefined && kind.safeParse(found).success;
  });
}

/** The keys that may stand at a path of `value`: for "did you mean". */
export function keysAt(schema: z.ZodType, value: unknown, path: Path): readonly string[] {
  let here: z.ZodType | undefined = schema;
  let found: unknown = value;
  for (const part of path) {
    here = stepInto(here, found, part);
    if (here === undefined) return [];
    found = (found as Record<PropertyKey, unknown> | undefined)?.[part];
  }
  const def = inner(unwrap(here));
  const branch = def.options === undefined ? here : chooseBranch(def, found);
  return branch === undefined ? [] : (keysOf(branch) ?? []);
}
