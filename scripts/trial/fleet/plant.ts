import { cpSync, existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect, type MqttClient } from "mqtt";
import { recordsSchema } from "../../../daemon/store/schema.ts";
import { openForReading } from "../../../daemon/store/sqlite-reader.ts";
import type { SeqRange } from "../../../sync/messages.ts";
import { freePort, launchDaemon, type RunningDaemon } from "../daemon.ts";
import { Line } from "./line.ts";

const EVERY_MS = 50;

/** How far each stream of a start went, and which of its rows are in the file; by "epoch/stream". */
export interface Extent {
  readonly hi: number;
  readonly rows: ReadonlyMap<number, string>;
  /** What the gateway believes that the fleet has. */
  readonly acknowledged: readonly SeqRange[];
}

/** A gateway with a sensor of its own and a line of its own to the broker. */
export class Plant {
  readonly name: string;
  readonly data: string;
  readonly line: Line;
  readonly #folder: string;
  readonly #rate: number;
  readonly #maxBytes: number;
  #port = 0;
  #daemon: RunningDaemon | undefined;
  #sensor: MqttClient | undefined;
  #timer: NodeJS.Timeout | undefined;
  #owed = 0;
  #measured = 0;
  starts = 0;

  constructor(folder: string, name: string, brokerPort: number, rate: number, maxBytes: number) {
    this.name = name;
    this.#folder = join(folder, name);
    this.data = join(this.#folder, "data");
    this.#rate = rate;
    this.#maxBytes = maxBytes;
    this.line = new Line(brokerPort);
  }

  async start(): Promise<void> {
    mkdirSync(this.#folder, { recursive: true });
    this.#port = await freePort();
    await this.line.start();
    const source = { kind: "mqtt", topic: "sensor/{k}", key: "k", fields: { v: { min: 0, max: 1 } } };
    const config = {
      device: { name: this.name },
      ...{ bus: { kind: "embedded", port: this.#port }, mode: "observe" },
      store: { maxBytes: this.#maxBytes },
      agents: {
        one: { sources: [source], record: { quiet: "all" }, rules: [{ id: "up", when: "event.fields.v > 0.9" }] },
      },
      fleet: {
        ...{ name: "north", brokers: [`mqtt://127.0.0.1:${this.line.port}`] },
        ...{ firstWithinSeconds: 0, reconnectWithinSeconds: 2, keepaliveSeconds: 10 },
      },
    };
    writeFileSync(join(this.#folder, "holdfast.yaml"), JSON.stringify(config));
    await this.run();
    this.#timer = setInterval(() => this.#measure(), EVERY_MS);
  }

  async run(): Promise<void> {
    this.starts += 1;
    this.#daemon = await launchDaemon(join(this.#folder, "holdfast.yaml"), this.data).ready;
    this.#sensor = connect({
      host: "127.0.0.1",
      port: this.#port,
      protocolVersion: 4,
      reconnectPeriod: 200,
      queueQoSZero: false,
    });
    this.#sensor.on("error", () => undefined);
  }

  async kill(): Promise<void> {
    this.#sensor?.end(true);
    await this.#daemon?.kill();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#sensor?.end(true);
    await this.#daemon?.stop();
    await this.line.stop();
  }

  /** No more readings; what is under way is decided. */
  quiet(): void {
    clearInterval(this.#timer);
  }

  /** A copy of the databases while nobody runs, as a backup is. */
  copyTo(name: string): void {
    const to = `${this.data}-${name}`;
    rmSync(to, { recursive: true, force: true });
    // The control socket is no file to copy.
    cpSync(this.data, to, { recursive: true, filter: (from) => !from.endsWith(".sock") });
  }

  hasCopy(name: string): boolean {
    return existsSync(`${this.data}-${name}`);
  }

  /** Puts the copy in the place of what is there. */
  restoreFrom(name: string): void {
    rmSync(this.data, { recursive: true });
    cpSync(`${this.data}-${name}`, this.data, { recursive: true });
  }

  /** What the log has; while no daemon runs. */
  extents(): Map<string, Extent> {
    const database = openForReading(join(this.data, "records.db"), recordsSchema);
    try {
      const found = new Map<string, { hi: number; rows: Map<number, string>; acknowledged: SeqRange[] }>();
      const at = (name: string) => {
        const known = found.get(name) ?? { hi: 0, rows: new Map<number, string>(), acknowledged: [] };
        found.set(name, known);
        return known;
      };
      const rows = database.prepare(
        "SELECT lower(hex(epoch.id)) AS epoch, stream, seq, lower(hex(hash)) AS hash FROM record JOIN epoch ON ordinal = record.epoch",
      );
      for (const row of rows.iterate() as Iterable<{ epoch: string; stream: number; seq: number; hash: string }>) {
        const one = at(`${row.epoch}/${row.stream}`);
        one.rows.set(row.seq, row.hash);
        one.hi = Math.max(one.hi, row.seq);
      }
      const gone = database.prepare(
        "SELECT lower(hex(epoch.id)) AS epoch, stream, toSeq FROM dropped JOIN epoch ON ordinal = dropped.epoch",
      );
      for (const row of gone.all() as { epoch: string; stream: number; toSeq: number }[]) {
        const one = at(`${row.epoch}/${row.stream}`);
        one.hi = Math.max(one.hi, row.toSeq);
      }
      const told = database.prepare(
        "SELECT lower(hex(epoch.id)) AS epoch, stream, contiguous, ranges FROM acknowledged JOIN epoch ON ordinal = acknowledged.epoch",
      );
      for (const row of told.all() as { epoch: string; stream: number; contiguous: number; ranges: string }[])
        at(`${row.epoch}/${row.stream}`).acknowledged.push(
          [1, row.contiguous],
          ...(JSON.parse(row.ranges) as SeqRange[]),
        );
      return found;
    } finally {
      database.close();
    }
  }

  #measure(): void {
    const sensor = this.#sensor;
    if (sensor?.connected !== true) return;
    this.#owed += (this.#rate * EVERY_MS) / 1000;
    for (; this.#owed >= 1; this.#owed -= 1) {
      this.#measured += 1;
      sensor.publish(`sensor/s${this.#measured % 5}`, `{"v":${((this.#measured * 7) % 100) / 100}}`, { qos: 0 });
    }
  }
}
