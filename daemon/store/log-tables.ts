import { discontinuities, type RecordKind, recordKinds, type Stream } from "../../sync/kinds.ts";
import type { Gap } from "../../sync/records.ts";
import type { Signer } from "../../sync/signing.ts";
import { createIds } from "../ids.ts";
import { headsBody, rollupBody } from "./bodies.ts";
import { Heads } from "./heads.ts";
import type { Batch, Restored, RestoredActions } from "./messages.ts";
import type { Database } from "./sqlite-writer.ts";
import { ActionTable, actionById, openActionsIn } from "./tables/action.ts";
import { lastStartOf } from "./tables/epoch.ts";
import { ReadingTable, restoreReadings } from "./tables/reading.ts";
import { RecordTable } from "./tables/record.ts";
import { restoreSeen, SeenTable } from "./tables/seen.ts";
import { agentsIn, checkpointsIn, limitsIn, metaIn, ruleStatesIn, StateTables } from "./tables/state.ts";
import { StreamSizeTable } from "./tables/stream-size.ts";
import { type EndedMinute, TallyTable } from "./tables/tally.ts";

/** All tables of records.db, changed together in one transaction; what is kept in memory of them follows a rollback. */
export class LogTables {
  readonly heads = new Heads();
  readonly records: RecordTable;
  readonly tallies: TallyTable;
  readonly sizes: StreamSizeTable;
  readonly state: StateTables;
  readonly actions: ActionTable;
  readonly #database: Database;
  readonly #readings: ReadingTable;
  readonly #seen: SeenTable;
  readonly #newId = createIds();
  readonly #epoch: number;
  readonly #signer: Signer | undefined;
  #agents: Map<number, string>;

  constructor(database: Database, epoch: number, lastN: number, rememberIds: number, signer?: Signer) {
    this.#epoch = epoch;
    this.#signer = signer;
    this.#database = database;
    this.sizes = new StreamSizeTable(database);
    this.records = new RecordTable(database, this.heads, epoch, lastN);
    this.tallies = new TallyTable(database);
    this.state = new StateTables(database);
    this.actions = new ActionTable(database);
    this.#readings = new ReadingTable(database);
    this.#seen = new SeenTable(database, rememberIds);
    this.#agents = this.#loadAgents();
  }

  /** Applies what the main thread sent. Gives the gaps that it told of. */
  apply(batch: Batch): Gap[] {
    const gaps = this.#applyChanges(batch);
    const { tallies } = batch;
    // Counts of a minute that ended within this batch come first, so that its records end the minute at their place.
    if (tallies.length > 1) this.#count(batch, 0, tallies.length - 1);
    this.#appendAll(batch);
    this.#count(batch, Math.max(0, tallies.length - 1), tallies.length);
    for (const block of batch.readings) this.#readings.append(block);
    this.#seen.append(batch.seen);
    return gaps;
  }

  /** Appends one of the store's own records. */
  write(stream: Stream, kind: RecordKind, wallMs: number, body: (id: string) => string, agent = 0): number {
    const id = this.#newId(wallMs);
    const text = body(id);
    this.sizes.added(stream, text.length);
    return this.records.append(stream, recordKinds[kind], agent, id, Math.floor(wallMs), text);
  }

  writeRollups(ended: readonly EndedMinute[], wallMs: number): void {
    for (const minute of ended) {
      const name = this.#agents.get(minute.agent) ?? "";
      this.write(3, "rollup", wallMs, (id) => rollupBody(id, name, minute), minute.agent);
    }
  }

  /** Writes down how far each stream has come: what lies before it can not be changed unseen. */
  writeHeads(kind: "chainHead" | "epochClose", wallMs: number): void {
    const heads = this.heads.written();
    this.write(0, kind, wallMs, (id) => headsBody(kind, id, this.#epoch, heads, wallMs, this.#signer));
  }

  /** Before a transaction. */
  save(): void {
    this.records.save();
    this.sizes.save();
  }

  /** After a transaction that was rolled back. */
  restore(): void {
    this.records.restore();
    this.sizes.restore();
    this.tallies.reload();
    this.#readings.reload();
    this.#seen.reload();
    this.#agents = this.#loadAgents();
  }

  /** What the daemon goes on with after a start. */
  restored(): Restored {
    const agents = agentsIn(this.#database);
    return {
      agents: new Map(agents),
      totals: this.totals(),
      readings: restoreReadings(this.#database),
      checkpoints: checkpointsIn(this.#database),
      ruleStates: ruleStatesIn(this.#database),
      seen: restoreSeen(this.#database),
      meta: metaIn(this.#database),
    };
  }

  restoredActions(ids: readonly string[]): RestoredActions {
    const known = ids.filter((id) => actionById(this.#database, id) !== undefined);
    const database = this.#database;
    const wentBack = lastStartOf(database, discontinuities);
    return { open: openActionsIn(database), limits: limitsIn(database), wentBack, known };
  }

  totals(): Record<string, Record<string, number>> {
    const totals: Record<string, Record<string, number>> = {};
    for (const table of ["total", "tally"]) {
      const rows = this.#database.prepare(`SELECT agent, counters FROM ${table}`).all();
      for (const row of rows as { agent: number; counters: string }[]) {
        const name = this.#agents.get(row.agent) ?? "";
        const into = totals[name] ?? {};
        totals[name] = into;
        for (const [counter, n] of Object.entries(JSON.parse(row.counters) as Record<string, number>)) {
          into[counter] = (into[counter] ?? 0) + n;
        }
      }
    }
    return totals;
  }

  #applyChanges(batch: Batch): Gap[] {
    const gaps: Gap[] = [];
    for (const change of batch.changes) {
      if (change.kind === "pruneReadings") {
        this.#readings.prune(change.agent, change.beforeMs);
        continue;
      }
      this.state.apply(change);
      if (change.kind === "agent") this.#agents.set(change.agent, change.name);
      if (change.kind === "gap") gaps.push({ from: change.fromMs, to: change.toMs, reason: change.reason });
    }
    return gaps;
  }

  #count(batch: Batch, from: number, to: number): void {
    const wallMs = batch.walls.at(-1);
    for (let at = from; at < to; at++) {
      const delta = batch.tallies[at];
      if (delta === undefined) continue;
      this.writeRollups(this.tallies.add(delta), wallMs ?? delta.minute);
    }
  }

  #appendAll(batch: Batch): void {
    const { streams, kinds, agents, walls, ids, bodies } = batch;
    for (let at = 0; at < bodies.length; at++) {
      const stream = streams[at] as number;
      const agent = agents[at] as number;
      const wallMs = walls[at] as number;
      const body = bodies[at] as string;
      if (agent !== 0) {
        const ended = this.tallies.endIfOver(agent, wallMs);
        if (ended !== undefined) this.writeRollups([ended], wallMs);
      }
      const kind = kinds[at] as number;
      const n = this.records.append(stream, kind, agent, ids[at] as string, wallMs, body);
      if (ActionTable.isPart(kind)) this.actions.apply(kind, ids[at] as string, n, body);
      this.sizes.added(stream, body.length);
      if (agent !== 0) this.tallies.place(agent, n, wallMs);
    }
  }

  #loadAgents(): Map<number, string> {
    return new Map(agentsIn(this.#database).map(([name, number]) => [number, name]));
  }
}
