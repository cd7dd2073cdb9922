import type { z } from "zod";

/** Says what a setting is for, with examples of its value: both go into the reference and to editors. */
export function described<T extends z.ZodType>(schema: T, description: string, ...examples: unknown[]): T {
  return schema.meta(examples.length === 0 ? { description } : { description, examples }) as T;
}

/** Like `described`, for what is never shown. */
export function secret<T extends z.ZodType>(schema: T, description: string, ...examples: unknown[]): T {
  return schema.meta({ description, examples, secret: true }) as T;
}
