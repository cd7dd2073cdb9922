import type { FleetConfig } from "../../config/fleet-link.ts";
import { usualBackoff } from "../../sync/backoff.ts";
import type { BudgetState } from "../../sync/budget.ts";
import { type FleetKeys, fleetKeys } from "../../sync/fleet-keys.ts";
import { Link } from "../../sync/link.ts";
import type { LinkState } from "../../sync/link-types.ts";
import { type GatewayTopics, gatewayTopics } from "../../sync/topics.ts";
import { Uplink } from "../../sync/uplink.ts";
import type { Verb } from "../api/control-server.ts";
import type { NamedFiles } from "../bus/named-files.ts";
import type { Clock } from "../clock.ts";
import type { IdentityFiles } from "../enrol/identity-files.ts";
import { Renewer } from "../enrol/renewer.ts";
import type { Log } from "../log.ts";
import type { People, Person } from "../people.ts";
import type { Reader } from "../store/reader.ts";
import type { Store } from "../store/store.ts";
import { version } from "../version.ts";
import { clockSync } from "./clock-sync.ts";
import { Commands } from "./commands.ts";
import { uplinkLog } from "./uplink-log.ts";

interface Deps {
  readonly clock: Clock;
  readonly store: Store;
  readonly reader: Reader;
  readonly log: Log;
  readonly newId: (wallMs: number) => string;
  readonly random: () => number;
  readonly fail: (error: Error) => void;
  readonly files: NamedFiles;
  readonly people: Pick<People, "bySignature">;
  /** The gateway's own key and certificate, to be renewed; undefined where they are somebody else's care. */
  readonly identity: IdentityFiles | undefined;
  /** What somebody may ask who signed it elsewhere. */
  readonly verbsFor: (person: Person) => Readonly<Record<string, Verb>>;
}

const KEEP_BUDGET_MS = 60_000;
const BUDGET_META = "fleetBudget";

export interface FleetState {
  readonly fleet: string;
  readonly gateway: string;
  readonly link: LinkState;
  readonly uplink: ReturnType<Uplink["state"]>;
}

/** The gateway's end of the fleet link: the connection, and what goes up over it. */
export class FleetPart {
  readonly name = "fleet";
  readonly #deps: Deps;
  readonly #config: FleetConfig;
  readonly #gateway: string;
  readonly #link: Link;
  readonly #keys: FleetKeys;
  readonly #commands: Commands;
  readonly #renewer: Renewer | undefined;
  /** The fleet's clock less this boot's; undefined until it was heard. */
  #offsetMs: number | undefined;
  #uplink: Uplink | undefined;
  #timer: NodeJS.Timeout | undefined;
  #bytesBefore = 0;

  /** Throws SYNC_KEY where a key of the file is none. */
  constructor(deps: Deps, config: FleetConfig, gateway: string) {
    this.#deps = deps;
    this.#config = config;
    this.#gateway = gateway;
    this.#keys = fleetKeys(config.keys);
    const { clock, random, log } = deps;
    const topics = gatewayTopics(config.name, gateway);
    // A broker whose lines know nothing of it would refuse all that is asked for with it.
    const renewals = deps.identity === undefined ? [] : [topics.certificate];
    const { brokers, username, proxy, keepaliveSeconds, tls } = config;
    this.#link = new Link(
      { clock, random, log, files: filesOf(config, deps.files) },
      {
        ...{ fleet: config.name, gateway, brokers, username, proxy, keepaliveSeconds, serverName: tls.serverName },
        ...{ software: version(), firstWithinMs: config.firstWithinSeconds * 1000 },
        backoff: { ...usualBackoff, capMs: config.reconnectWithinSeconds * 1000 },
        ...{ subscriptions: [topics.acknowledgement, topics.backfill, topics.command, ...renewals] },
      },
    );
    this.#renewer = this.#createRenewer();
    this.#link.onUp = (session) => {
      this.#uplink?.up(session);
      this.#renewer?.look();
    };
    this.#link.onDown = () => this.#uplink?.down();
    this.#commands = this.#createCommands(topics);
    this.#link.onMessage = (topic, payload, isRetained) => {
      if (topic === topics.command) void this.#commands.heard(payload, isRetained);
      if (topic === topics.certificate) this.#renewer?.heard(payload);
      if (topic === topics.acknowledgement || topic === topics.backfill) this.#uplink?.heard(payload);
    };
  }

  async start(): Promise<void> {
    const { store, reader, clock, newId, random } = this.#deps;
    const { config, gateway } = { config: this.#config, gateway: this.#gateway };
    const { lifeMs, budget } = await reader.life();
    const startedBootMs = clock.bootMs();
    const wrote = clockSync({ store, clock, newId });
    const log = uplinkLog({ store, reader, clock, newId });
    this.#uplink = new Uplink(
      {
        ...{ log, random, keys: this.#keys, line: this.#link, topics: gatewayTopics(config.name, gateway) },
        clock: {
          bootMs: () => clock.bootMs(),
          lifeMs: () => lifeMs + clock.bootMs() - startedBootMs,
          read: () => ({
            bootId: clock.bootId,
            bootMs: clock.bootMs(),
            wallMs: Math.floor(clock.wallMs()),
            trust: clock.trust(),
          }),
        },
        heardTime: (fleetMs, uncertaintyMs) => {
          this.#offsetMs = fleetMs + uncertaintyMs - clock.bootMs();
          wrote(fleetMs, uncertaintyMs);
        },
      },
      {
        ...{ fleet: config.name, gateway, software: version(), ackMode: config.ackMode, budget: config.budget },
        budgetState: budgetOf(budget),
      },
    );
    this.#link.onIdentityConflict = () => {
      log.report("another client has this gateway's name", {
        fleet: config.name,
        gateway,
        broker: this.#link.state().broker,
      });
    };
    await this.#uplink.start();
    await this.#commands.start();
    await this.#renewer?.start();
    store.onCommitted = () => this.#uplink?.wake();
    this.#timer = setInterval(() => this.#keepBudget(), KEEP_BUDGET_MS);
    this.#timer.unref();
    await this.#link.start();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#deps.store.onCommitted = () => undefined;
    await this.#link.stop();
    await this.#renewer?.stop();
    await this.#uplink?.stop();
    this.#keepBudget();
  }

  state(): FleetState | undefined {
    if (this.#uplink === undefined) return undefined;
    return { fleet: this.#config.name, gateway: this.#gateway, link: this.#link.state(), uplink: this.#uplink.state() };
  }

  /** Acknowledgements that were carried here as a file; gives how many records less wait. Throws SyncError. */
  filed(line: string): number {
    return this.#uplink?.filed(Buffer.from(line)) ?? 0;
  }

  #createCommands(topics: GatewayTopics): Commands {
    const { store, clock, newId, reader, people, verbsFor } = this.#deps;
    const { report: record } = uplinkLog({ store, reader, clock, newId });
    const nowMs = (): number => this.#nowMs();
    const { name: fleet } = this.#config;
    return new Commands(
      {
        ...{ control: store.control, people, keys: this.#keys, nowMs, bootMs: () => clock.bootMs(), verbsFor, record },
        report: (result) => {
          const payload = JSON.stringify({ v: 1, kind: "commandResult", ...result, at: Math.floor(nowMs()) });
          // Best effort: the record goes up with the log in any case.
          this.#link.publish({ topic: topics.report("command"), payload, qos: 1, expirySeconds: 300 }).catch(() => 0);
        },
      },
      { fleet, gateway: this.#gateway },
    );
  }

  #createRenewer(): Renewer | undefined {
    const { identity: files, log } = this.#deps;
    if (files === undefined) return undefined;
    const { name: fleet } = this.#config;
    return new Renewer(
      { link: this.#link, files, log, nowMs: () => this.#nowMs() },
      { fleet, gateway: this.#gateway, keys: this.#keys },
    );
  }

  /** The fleet's clock as far as it is known, else this machine's. */
  #nowMs(): number {
    const { clock } = this.#deps;
    return this.#offsetMs === undefined ? clock.wallMs() : clock.bootMs() + this.#offsetMs;
  }

  #keepBudget(): void {
    const state = this.#uplink?.budgetState();
    if (state === undefined || state.bytes === this.#bytesBefore) return;
    this.#bytesBefore = state.bytes;
    this.#deps.store.project({ kind: "meta", name: BUDGET_META, value: JSON.stringify(state) });
  }
}

function filesOf({ tls, passwordFile }: FleetConfig, files: NamedFiles) {
  const read = (name: string | undefined, how: "secret" | "text") => () =>
    name === undefined ? undefined : files[how](name);
  return {
    ca: read(tls.ca, "text"),
    certificate: read(tls.certificate, "text"),
    key: read(tls.key, "secret"),
    password: read(passwordFile, "secret"),
  };
}

/** A text that can not be read is a day of which nothing is known: it begins anew. */
function budgetOf(text: string | undefined): BudgetState | undefined {
  try {
    const state = JSON.parse(text ?? "null") as BudgetState | null;
    return state !== null && [state.day, state.bytes, state.overdraftBytes].every(Number.isFinite) ? state : undefined;
  } catch {
    return undefined;
  }
}
