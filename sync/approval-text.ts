import { createHash } from "node:crypto";

export type CanonicalValue =
  | string
  | number
  | boolean
  | null
  | readonly CanonicalValue[]
  | { readonly [name: string]: CanonicalValue };

/**
 * RFC 8785 for the values there are: JSON.stringify already writes numbers and texts as it asks for; names are sorted by
 * their UTF-16 units. What JSON has no form for is refused, not changed; half a letter is escaped.
 */
export function canonicalJson(value: CanonicalValue): string {
  if (typeof value === "number" && !Number.isFinite(value)) throw new RangeError("a number that is none");
  if (typeof value !== "object" || value === null) {
    const text: string | undefined = JSON.stringify(value);
    if (text === undefined) throw new TypeError("a value that JSON has no form for");
    return text;
  }
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  const members = Object.entries(value as { readonly [name: string]: CanonicalValue }).sort(([one], [other]) =>
    one < other ? -1 : 1,
  );
  return `{${members.map(([name, item]) => `${canonicalJson(name)}:${canonicalJson(item)}`).join(",")}}`;
}

/** Everything that a yes is given to. */
export interface ProposalContent {
  readonly proposal: string;
  readonly gateway: string;
  readonly policy: string;
  readonly tool: string;
  readonly arguments: Readonly<Record<string, string | number | boolean>>;
  readonly agent: string;
  readonly key: string;
  readonly rule: string;
  /** Wall time in milliseconds. */
  readonly approveBefore: number;
  readonly executeBefore: number;
}

/** SHA-256 of a proposal's content, in hex: another argument, policy or gateway is another proposal. */
export function proposalHash(content: ProposalContent): string {
  const { proposal, gateway, policy, tool, agent, key, rule, approveBefore, executeBefore } = content;
  const all = { proposal, gateway, policy, tool, agent, key, rule, approveBefore, executeBefore };
  return createHash("sha256")
    .update(canonicalJson({ v: 1, ...all, arguments: content.arguments }))
    .digest("hex");
}

export interface Answer {
  readonly decision: "approved" | "rejected";
  readonly hash: string;
  readonly person: string;
  readonly proposal: string;
}

/** What a person signs: the bytes of their answer. */
export function approvalText({ decision, hash, person, proposal }: Answer): Buffer {
  return Buffer.from(canonicalJson({ decision, hash, person, proposal, v: 1 }));
}
