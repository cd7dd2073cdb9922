import { createHash, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { MqttClient } from "mqtt";
import { callAsPerson, callDaemon } from "../../daemon/api/control-client.ts";
import { eachRecord } from "../../scripts/trial/acted.ts";
import { launchDaemon, type RunningDaemon } from "../../scripts/trial/daemon.ts";
import { busOf } from "../../scripts/trial/fixtures.ts";
import { approvalText } from "../../sync/approval-text.ts";
import type { Approval, Outcome } from "../../sync/records.ts";
import { sensor, until } from "./bus.ts";
import { type Mosquitto, startMosquitto } from "./mosquitto.ts";

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

/** A gateway on a broker of its own, whose tools ask people first, and somebody who looks at what reaches the plant. */
export class ApprovalSite {
  readonly folder = mkdtempSync(join(tmpdir(), "holdfast-approvals-"));
  readonly data = join(this.folder, "data");
  readonly #seen: string[] = [];
  #marks = 0;
  readonly #config = join(this.folder, "holdfast.yaml");
  #broker: Mosquitto | undefined;
  #plant: MqttClient | undefined;
  #daemon: RunningDaemon | undefined;

  static async open(): Promise<ApprovalSite> {
    const site = new ApprovalSite();
    site.#broker = await startMosquitto();
    await site.listen();
    site.write(people);
    await site.start();
    return site;
  }

  get broker(): Mosquitto {
    if (this.#broker === undefined) throw new Error("there is no broker");
    return this.#broker;
  }

  get daemon(): RunningDaemon {
    if (this.#daemon === undefined) throw new Error("no daemon runs");
    return this.#daemon;
  }

  async listen(): Promise<void> {
    this.#plant = await sensor(this.broker.url);
    this.#plant.on("message", (topic, payload) => {
      this.#seen.push(`${topic} ${(JSON.parse(payload.toString()) as { cmd: string }).cmd}`);
    });
    await this.#plant.subscribeAsync("plant/#", { qos: 1 });
  }

  /** What has reached the plant so far: all that the broker took before now. */
  async effects(): Promise<string[]> {
    this.#marks += 1;
    const cmd = String(this.#marks);
    this.#plant?.publish("plant/mark", JSON.stringify({ cmd }), { qos: 1 });
    await until("the mark", () => this.#seen.includes(`plant/mark ${cmd}`));
    return this.#seen.filter((one) => !one.startsWith("plant/mark "));
  }

  /** The gateway's file, with these people in it. */
  write(named: Readonly<Record<string, object>>): void {
    writeFileSync(this.#config, JSON.stringify(configOf(this.broker.port, named)));
  }

  /** `crashpoint`: where it is to die. */
  async start(crashpoint?: string): Promise<void> {
    const wrapper = crashpoint === undefined ? [] : ["env", `HOLDFAST_TEST_CRASHPOINT=${crashpoint}`];
    this.#daemon = await launchDaemon(this.#config, this.data, wrapper).ready;
    await until("its own way onto the bus", () =>
      this.daemon.lines.some(({ msg }) => msg === "commands are connected"),
    );
  }

  /** Asks as the bearer of a token, or as the user who runs this test, who is maria. */
  async ask(verb: string, parameters: Readonly<Record<string, unknown>>, bearer?: Bearer): Promise<unknown> {
    const token = bearer === undefined ? {} : { token: tokens[bearer] };
    return await callAsPerson({ dataDirectory: this.data, verb, parameters: { ...parameters, ...token } });
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
    const open = (await callDaemon({ dataDirectory: this.data, verb: "approvals" })) as { id: string; hash: string }[];
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
    return sign(null, approvalText({ decision, hash: await this.hash(of), person, proposal: of }), key).toString(
      "base64",
    );
  }

  approvals(proposal: string): Approval[] {
    return [...eachRecord(this.data, ["approval"])]
      .map((body) => body as Approval)
      .filter((one) => one.proposal === proposal);
  }

  /** What was refused, and to whom, once so many are on disk. */
  async refusals(proposal: string, count: number): Promise<string[]> {
    const refused = () => this.approvals(proposal).filter(({ decision }) => decision === "refused");
    await until("the refusals' records", () => refused().length >= count);
    return refused().map(({ by, reason }) => `${by}: ${reason}`);
  }

  steps(action: string): string[] {
    return [...eachRecord(this.data, ["outcome"])]
      .map((body) => body as Outcome)
      .filter(({ intent }) => intent === action)
      .map(
        ({ state, reason, final }) => `${state}${final === true ? "!" : ""}${reason === undefined ? "" : ` ${reason}`}`,
      );
  }

  /** Waits for the last step of an action. */
  async end(action: string): Promise<string> {
    await until("the action's end", () => this.steps(action).some((step) => step.includes("!")), 15_000);
    return this.steps(action).at(-1) ?? "";
  }

  async close(): Promise<void> {
    await this.#plant?.endAsync(true);
    if (this.#daemon?.child.exitCode === null) await this.#daemon.kill();
    await this.#broker?.remove();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

function configOf(port: number, named: object): object {
  const valve = (more: object): object => ({
    kind: "mqtt",
    topic: "plant/{valve}/command",
    payload: { cmd: "open" },
    ...more,
  });
  return {
    schemaVersion: 1,
    device: { name: "plant-7" },
    mode: "auto",
    bus: busOf("external", port),
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
