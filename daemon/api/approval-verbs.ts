import { z } from "zod";
import { approvalText } from "../../sync/approval-text.ts";
import { DaemonError } from "../errors.ts";
import type { People, Person } from "../people.ts";
import { type Actions, shown } from "./actions.ts";
import { type AsPerson, demand } from "./as-person.ts";
import type { Verb } from "./control-server.ts";

const answerSchema = z.object({
  proposal: z.string(),
  /** Whose signature it is. */
  as: z.string().optional(),
  signature: z.string().optional(),
});
type Given = z.infer<typeof answerSchema>;

interface Deps {
  readonly actions: Actions;
  readonly people: People;
}

/** What waits for people, and their answers. A refused answer is a record like one that counts. */
export function approvalVerbs(deps: Deps, asPerson: AsPerson): Readonly<Record<string, Verb>> {
  const { actions } = deps;
  const answer = (decision: "approved" | "rejected") => async (peer: Person, given: Given) => {
    const { proposal, signature } = given;
    const by = signerOf(deps, decision, peer, given);
    return await actions.approve({ proposal, by, decision, signature, peer: peer.name });
  };
  return {
    approvals: () => actions.open().map((one) => ({ ...one, arguments: shown(one) })),
    approve: asPerson("approve", answerSchema, answer("approved")),
    deny: asPerson("deny", answerSchema, answer("rejected")),
  };
}

/** Whose answer it is: of whoever signed it, else of whoever asks. */
function signerOf(deps: Deps, decision: "approved" | "rejected", peer: Person, given: Given): Person {
  const person = given.signature === undefined ? peer : signedBy(deps, decision, peer, given);
  if (given.as !== undefined && given.as !== person.name)
    throw new DaemonError("NOT_ALLOWED", { who: person.name, reason: "otherPerson", as: given.as });
  demand(person, "approve");
  return person;
}

function signedBy({ actions, people }: Deps, decision: "approved" | "rejected", peer: Person, given: Given): Person {
  const { proposal, signature = "", as: person = "" } = given;
  const hash = actions.open().find((one) => one.id === proposal)?.hash;
  const who = { who: person === "" ? peer.name : person, broughtBy: peer.name };
  if (hash === undefined) throw new DaemonError("NOT_ALLOWED", { ...who, reason: "notOpen" });
  const signer = people.bySignature(person, approvalText({ decision, hash, person, proposal }), signature);
  if (signer === undefined) throw new DaemonError("PERSON_UNKNOWN", { ...who, reason: "signature" });
  return signer;
}
