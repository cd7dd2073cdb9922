import { type Proposal, proposalSchema } from "../../sync/records.ts";
import type { Query } from "../database.ts";

export interface ProposalFilter {
  readonly gateway: string;
  readonly id: string;
}

/** What the fleet has of an action that people were asked about, private arguments too; null: nothing yet. */
export async function waitingProposal(query: Query, { gateway, id }: ProposalFilter): Promise<Proposal | null> {
  // The text is looked at first: to read every proposal as JSON costs far more.
  const rows = await query.query<{ body: string }>(
    `SELECT r.body FROM record r JOIN gateway g ON g.id = r.gateway
     WHERE g.name = $1 AND r.kind = 'proposal' AND position($2 IN r.body) > 0 LIMIT 100`,
    [gateway, id],
  );
  for (const { body } of rows) {
    const read = proposalSchema.safeParse(JSON.parse(body));
    if (read.success && read.data.id === id && read.data.state === "awaitingApproval") return read.data as Proposal;
  }
  return null;
}
