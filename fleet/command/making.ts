import { approvalText, proposalHash } from "../../sync/approval-text.ts";
import { type CommandBody, commandText } from "../../sync/command.ts";
import type { Proposal } from "../../sync/records.ts";
import type { Signer } from "../../sync/signing.ts";
import { FleetError } from "../errors.ts";
import type { Wish } from "./wish.ts";

export interface To {
  readonly fleet: string;
  readonly gateway: string;
}

export interface By {
  readonly signer: Signer;
  /** As the gateway's file names them; undefined: the fleet asks. */
  readonly person: string | undefined;
}

export interface Terms {
  readonly id: string;
  readonly nowMs: number;
  readonly lifeMs: number;
}

/** A command that is ready to be sent, by whomever. */
export interface MadeCommand extends To {
  readonly id: string;
  readonly verb: string;
  readonly arguments: CommandBody["arguments"];
  readonly expiresAt: number;
  readonly text: string;
}

export function madeCommand(to: To, wish: Wish, { signer, person }: By, { id, nowMs, lifeMs }: Terms): MadeCommand {
  const issuedAt = Math.floor(nowMs);
  const expiresAt = issuedAt + lifeMs;
  const body = { ...to, id, issuedAt, expiresAt, ...wish, person };
  return { ...to, ...wish, id, expiresAt, text: commandText(body, signer) };
}

/**
 * A person's answer with their own signature over all that the action would do. It is made anew from what the fleet has
 * of the action, and not believed: the signature fits nothing else, whoever kept it. `device`: the gateway's own name.
 */
export function signedAnswer(wish: Wish, waiting: Proposal, device: string, by: Required<By>): Wish {
  const { id: proposal, approveBefore, executeBefore, hash: stored } = waiting;
  const { policy, tool, agent, key, rule, arguments: given } = waiting;
  const hash = proposalHash({
    ...{ proposal, gateway: device, policy, tool, arguments: given, agent, key, rule },
    ...{ approveBefore: approveBefore?.wallMs ?? 0, executeBefore: executeBefore.wallMs },
  });
  if (hash !== stored)
    throw new FleetError(
      "FLEET_PROPOSAL",
      { proposal, device, reason: "what is stored of it does not fit its hash" },
      { hint: "Is device.name of the gateway's file another one than its name in the fleet? Name it with --device." },
    );
  const decision = wish.verb === "approve" ? "approved" : "rejected";
  const person = by.person ?? "";
  const signature = by.signer.sign(approvalText({ decision, hash, person, proposal }).toString());
  return { ...wish, arguments: { proposal, as: person, signature } };
}
