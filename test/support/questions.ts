import type { Arguments } from "../../daemon/act/tool.ts";
import type { Answered, Asker, QueryTool, Unanswered } from "../../daemon/queries.ts";

/** A question that reached the other side, to be answered by the test. */
export interface Asked {
  readonly given: Arguments;
  readonly signal: AbortSignal;
  answer(value: unknown): void;
  fail(reason?: Unanswered): void;
}

/** The other side of a query tool, with what it was asked. */
export function askedBy(options: Partial<QueryTool> = {}): { tool: QueryTool; asked: Asked[] } {
  const asked: Asked[] = [];
  const asker: Asker = {
    ask: (given, _, signal) =>
      new Promise<Answered>((resolve) => {
        asked.push({
          given,
          signal,
          answer: (value) => resolve({ ok: true, value, text: JSON.stringify(value) }),
          fail: (reason = "unreachable") => resolve({ ok: false, reason, detail: "no way" }),
        });
      }),
  };
  const tool = { asker, timeoutMs: 2000, freshMs: 10_000, breaker: { failures: 5, openMs: 30_000 }, ...options };
  return { tool, asked };
}

/** Lets promises that are settled have their say. */
export async function turn(): Promise<void> {
  for (let at = 0; at < 5; at += 1) await Promise.resolve();
}
