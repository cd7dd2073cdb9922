import { z } from "zod";
import { type RecordKind, recordKinds } from "../../sync/kinds.ts";
import { StoreError } from "../store/errors.ts";
import type { RecordFilter } from "../store/queries.ts";
import type { ActionFilter } from "../store/tables/action.ts";

const filterSchema = z.strictObject({
  kinds: z.array(z.enum(Object.keys(recordKinds) as [RecordKind, ...RecordKind[]])).optional(),
  agent: z.string().optional(),
  key: z.string().optional(),
  rule: z.string().optional(),
  sinceMs: z.number().optional(),
  untilMs: z.number().optional(),
  afterN: z.number().int().optional(),
  beforeN: z.number().int().optional(),
  limit: z.number().int().min(1).max(500),
  newestFirst: z.boolean(),
});

const actionFilterSchema = z.strictObject({
  sinceMs: z.number().optional(),
  untilMs: z.number().optional(),
  isOpen: z.boolean().optional(),
  after: z.uuid().optional(),
  limit: z.number().int().min(1).max(500),
  newestFirst: z.boolean(),
});

export function actionFilter(value: unknown): ActionFilter {
  const parsed = actionFilterSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new StoreError("STORE_QUERY", { reason: z.prettifyError(parsed.error) });
}

const decisionsSchema = z.object({ decisions: z.array(z.uuid()).max(500) });

export function decisionIds(value: unknown): readonly string[] {
  const parsed = decisionsSchema.safeParse(value);
  if (parsed.success) return parsed.data.decisions;
  throw new StoreError("STORE_QUERY", { reason: z.prettifyError(parsed.error) });
}

/** A filter that came over the control socket. Throws STORE_QUERY when it is none. */
export function pageFilter(value: unknown): RecordFilter {
  const parsed = filterSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new StoreError("STORE_QUERY", { reason: z.prettifyError(parsed.error) });
}
