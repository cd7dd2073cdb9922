import type { Change, Restored } from "../messages.ts";
import type { Database, Statement } from "../sqlite-writer.ts";

/** The small projections: agents' numbers, window checkpoints, rule states, gaps, notes by name. */
export class StateTables {
  readonly #agent: Statement;
  readonly #checkpoint: Statement;
  readonly #checkpointGone: Statement;
  readonly #rule: Statement;
  readonly #ruleGone: Statement;
  readonly #keyRulesGone: Statement;
  readonly #gap: Statement;
  readonly #meta: Statement;
  readonly #limit: Statement;
  readonly #limitGone: Statement;
  readonly #acknowledged: Statement;

  constructor(database: Database) {
    this.#agent = database.prepare("INSERT OR IGNORE INTO agent VALUES (?, ?)");
    this.#checkpoint = database.prepare(
      "INSERT INTO windowCheckpoint VALUES (?, ?, ?) ON CONFLICT (agent, key) DO UPDATE SET blob = excluded.blob",
    );
    this.#checkpointGone = database.prepare("DELETE FROM windowCheckpoint WHERE agent = ? AND key = ?");
    this.#rule = database.prepare("INSERT OR REPLACE INTO ruleState VALUES (?, ?, ?, ?)");
    this.#ruleGone = database.prepare("DELETE FROM ruleState WHERE agent = ? AND key = ? AND rule = ?");
    this.#keyRulesGone = database.prepare("DELETE FROM ruleState WHERE agent = ? AND key = ?");
    this.#gap = database.prepare("INSERT INTO gap (fromMs, toMs, reason) VALUES (?, ?, ?)");
    this.#meta = database.prepare("INSERT OR REPLACE INTO meta VALUES (?, ?)");
    this.#limit = database.prepare("INSERT OR REPLACE INTO limitState VALUES (?, ?)");
    this.#limitGone = database.prepare("DELETE FROM limitState WHERE scope = ?");
    this.#acknowledged = database.prepare("INSERT OR REPLACE INTO acknowledged VALUES (?, ?, ?, ?)");
  }

  apply(change: Exclude<Change, { kind: "pruneReadings" }>): void {
    switch (change.kind) {
      case "agent":
        this.#agent.run(change.agent, change.name);
        break;
      case "windowCheckpoint":
        this.#checkpoint.run(change.agent, change.key, Buffer.from(change.blob as Uint8Array));
        break;
      case "keyGone":
        this.#checkpointGone.run(change.agent, change.key);
        this.#keyRulesGone.run(change.agent, change.key);
        break;
      case "ruleState":
        if (change.state === null) this.#ruleGone.run(change.agent, change.key, change.rule);
        else this.#rule.run(change.agent, change.key, change.rule, change.state);
        break;
      case "limit":
        if (change.state === null) this.#limitGone.run(change.scope);
        else this.#limit.run(change.scope, change.state);
        break;
      case "acknowledged":
        this.#acknowledged.run(change.epoch, change.stream, change.contiguous, change.ranges);
        break;
      case "gap":
        this.addGap(change.fromMs, change.toMs, change.reason);
        break;
      case "meta":
        this.setMeta(change.name, change.value);
    }
  }

  addGap(fromMs: number, toMs: number, reason: string): void {
    this.#gap.run(Math.floor(fromMs), Math.floor(toMs), reason);
  }

  setMeta(name: string, value: string): void {
    this.#meta.run(name, value);
  }
}

export function agentsIn(database: Database): [string, number][] {
  const rows = database.prepare("SELECT name, number FROM agent ORDER BY number").all();
  return (rows as { name: string; number: number }[]).map((row) => [row.name, row.number]);
}

export function metaIn(database: Database): Record<string, string> {
  const rows = database.prepare("SELECT name, value FROM meta").all() as { name: string; value: string }[];
  return Object.fromEntries(rows.map((row) => [row.name, row.value]));
}

export function limitsIn(database: Database): Record<string, string> {
  return Object.fromEntries(database.prepare("SELECT scope, state FROM limitState").raw().all() as [string, string][]);
}

export function checkpointsIn(database: Database): Restored["checkpoints"] {
  return database.prepare("SELECT agent, key, blob FROM windowCheckpoint").all() as Restored["checkpoints"][number][];
}

export function ruleStatesIn(database: Database): Restored["ruleStates"] {
  return database.prepare("SELECT agent, key, rule, state FROM ruleState").all() as Restored["ruleStates"][number][];
}
