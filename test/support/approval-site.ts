import { createHash, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { approvalText } from "../../sync/approval-text.ts";
import type { Approval } from "../../sync/records.ts";
import { ActSite } from "./act-site.ts";
import { until } from "./bus.ts";

/** Who this test runs as, as the gateway's file names users without an account. */
const OWN_USER = String(process.getuid?.() ?? 0);

/** Keys that are made for the test; `mallory` is nobody's. */
export const keys = Object.fromEntries(
  ["maria", "jan", "mallory"].map((name) => [name, generateKeyPairSync("ed25519")]),
) as Record<"maria" | "jan" | "mallory", { publicKey: KeyObject; privateKey: KeyObject }>;

export const tokens = { maria: "maria's", ines: "ines's", otto: "otto's", eve: "eve's" } as const;
export type Bearer = keyof typeof tokens;

const hashOf = (token: string): string => createHash("sha256").update(token).digest("hex");
const keyOf = (name: "maria" | "jan"): string =>
  keys[name].publicKey.export({ format: "der", type: "spki" }).toString("base64");

/** Maria is known by everything there is; otto may want things done, and approve none. */
export const people = {
  maria: {
    roles: ["operator", "approver"],
    localUser: OWN_USER,
    tokenHash: hashOf(tokens.maria),
    publicKey: keyOf("maria"),
  },
  jan: { roles: ["approver"], publicKey: keyOf("jan") },
  ines: { roles: ["approver"], tokenHash: hashOf(tokens.ines) },
  otto: { roles: ["operator"], tokenHash: hashOf(tokens.otto) },
  eve: { roles: ["approver"], tokenHash: hashOf(tokens.eve) },
};

export interface Told {
  readonly accepted: boolean;
  readonly reason?: string;
  readonly state: string;
  readonly given: number;
  readonly needs: number;
}

/** People of a gateway whose tools ask them first. */
export class ApprovalSite {
  readonly site = new ActSite();

  static async open(): Promise<ApprovalSite> {
    const here = new ApprovalSite();
    await here.site.open(configOf(people));
    return here;
  }

  /** The gateway's file, with these people in it. */
  write(named: Readonly<Record<string, object>>): void {
    this.site.write(configOf(named));
  }

  /** What has reached the plant. */
  async effects(): Promise<string[]> {
    return (await this.site.told()).map(({ about, cmd }) => `${cmd} ${about}`);
  }

  /** Asks as the bearer of a token, or as the user who runs this test, who is maria. */
  async ask(verb: string, parameters: Readonly<Record<string, unknown>>, bearer?: Bearer): Promise<unknown> {
    return await this.site.ask(verb, { ...parameters, ...(bearer === undefined ? {} : { token: tokens[bearer] }) });
  }

  /** Somebody wants a tool used. */
  async propose(tool: string, valve: string, bearer: Bearer = "otto"): Promise<string> {
    const made = (await this.ask("act", { tool, arguments: { valve } }, bearer)) as { id: string; state: string };
    if (made.state !== "awaitingApproval") throw new Error(`${tool} is ${JSON.stringify(made)}`);
    return made.id;
  }

  async approve(proposal: string, bearer?: Bearer): Promise<Told> {
    return (await this.ask("approve", { proposal }, bearer)) as Told;
  }

  /** An answer that was signed elsewhere, brought by somebody who may nothing. */
  async bring(proposal: string, as: string, signature: string): Promise<Told> {
    return (await this.ask("approve", { proposal, as, signature }, "otto")) as Told;
  }

  async hash(proposal: string): Promise<string> {
    const open = (await this.site.ask("approvals")) as { id: string; hash: string }[];
    return open.find(({ id }) => id === proposal)?.hash ?? "";
  }

  /** What a person would sign for a proposal, signed with some key. */
  async signed(
    proposal: string,
    person: string,
    key: KeyObject,
    more: { readonly decision?: "rejected"; readonly of?: string } = {},
  ): Promise<string> {
    const { decision = "approved", of = proposal } = more;
    const text = approvalText({ decision, hash: await this.hash(of), person, proposal: of });
    return sign(null, text, key).toString("base64");
  }

  approvals(proposal: string): Approval[] {
    const all = this.site.records("approval").map((body) => body as Approval);
    return all.filter((one) => one.proposal === proposal);
  }

  /** What was refused, and to whom, once so many are on disk. */
  async refusals(proposal: string, count: number): Promise<string[]> {
    const refused = () => this.approvals(proposal).filter(({ decision }) => decision === "refused");
    await until("the refusals' records", () => refused().length >= count);
    return refused().map(({ by, reason }) => `${by}: ${reason}`);
  }
}

function configOf(named: object): object {
  const valve = (more: object): object => ({
    kind: "mqtt",
    topic: "plant/{valve}/command",
    payload: { cmd: "open" },
    ...more,
  });
  return {
    device: { name: "plant-7" },
    mode: "auto",
    people: named,
    agents: {},
    tools: {
      open: valve({}),
      dump: valve({ class: "critical", payload: { cmd: "dump" } }),
      hasty: valve({ approveWithinSeconds: 1 }),
      brief: valve({ executeWithinSeconds: 1 }),
      repeatable: valve({ idempotent: true, payload: { cmd: "again" } }),
      fresh: valve({}),
    },
    policy: [
      { id: "ask", effect: "requireApproval" },
      { id: "stale", effect: "forbid", tools: ["fresh"], when: "now - event.time > 1500.0" },
    ],
  };
}
