import { createHash } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type DecisionFilter, decisions, gaps, gateways } from "../asking.ts";
import { type ProposalFilter, waitingProposal } from "../command/proposals.ts";
import { newestBundle, type SupportFilter } from "../command/support.ts";
import type { Query } from "../database.ts";
import type { ImportBatch } from "../importing.ts";

/** What commands may ask, of a database or of the process that has it open. */
export interface Questions {
  decisions: { ask: DecisionFilter; answer: Awaited<ReturnType<typeof decisions>> };
  gateways: { ask: undefined; answer: Awaited<ReturnType<typeof gateways>> };
  gaps: { ask: undefined; answer: Awaited<ReturnType<typeof gaps>> };
  proposal: { ask: ProposalFilter; answer: Awaited<ReturnType<typeof waitingProposal>> };
  support: { ask: SupportFilter; answer: Awaited<ReturnType<typeof newestBundle>> };
  /** Batches that were carried here; answered with acknowledgements, signed. */
  take: { ask: readonly ImportBatch[]; answer: readonly string[] };
}

export type Question = keyof Questions;

export type Ask = <Q extends Question>(question: Q, asked: Questions[Q]["ask"]) => Promise<Questions[Q]["answer"]>;

/** Answers from the database itself. `take`: stores what was carried here. */
export function askDatabase(query: Query, take: (batches: readonly ImportBatch[]) => Promise<readonly string[]>): Ask {
  const answers: { [Q in Question]: (asked: Questions[Q]["ask"]) => Promise<Questions[Q]["answer"]> } = {
    decisions: (filter) => decisions(query, filter, Date.now()),
    gateways: () => gateways(query),
    gaps: () => gaps(query),
    proposal: (filter) => waitingProposal(query, filter),
    support: (filter) => newestBundle(query, filter),
    take,
  };
  return (question, asked) => answers[question](asked);
}

/** Where the process that has an embedded database open is asked. A socket's path may not be long: 107 bytes. */
export function socketPathOf(folder: string): string {
  const beside = `${folder}.sock`;
  if (Buffer.byteLength(beside) <= 100) return beside;
  const name = createHash("sha256").update(folder).digest("hex").slice(0, 16);
  return join(tmpdir(), `holdfast-fleet-${process.getuid?.() ?? 0}-${name}.sock`);
}
