import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { PlacedDecision } from "../../daemon/log-reader.ts";
import { recordPage, totals } from "../../daemon/store/queries.ts";
import { recordsSchema } from "../../daemon/store/schema.ts";
import { openForReading } from "../../daemon/store/sqlite-reader.ts";
import { readDecision } from "../../sync/records.ts";

/** The folder of a model that the tests use. */
export function fixtureModel(name: string): string {
  const up = ["../../", "../../../"].map((root) => new URL(`${root}test/fixtures/models/${name}`, import.meta.url));
  const found = up.find((folder) => existsSync(folder));
  if (found === undefined) throw new Error(`there is no model ${name} among the tests' fixtures`);
  return fileURLToPath(found);
}

/** An agent as most are: a key by topic, a time of its own, a model, one rule, every decision written down. */
export const goodAgent = {
  sources: [
    {
      kind: "mqtt",
      topic: "good/{sensor}",
      key: "sensor",
      timestamp: { path: "ts", unit: "ms" },
      fields: { a: { min: -100, max: 100 }, b: { min: -100, max: 100 } },
    },
  ],
  event: { id: { path: "id" } },
  model: "linear",
  rules: [{ id: "high", when: "answer.score > 1000000.0" }],
  record: { quiet: "all" },
} as const;

export const goodTopic = (index: number): string => `good/s${index % 8}`;

export function goodPayload(index: number): string {
  return `{"id":"g${index}","ts":${Date.now()},"a":${(index % 100) / 10},"b":${(index % 7) - 3}}`;
}

export function busOf(bus: "embedded" | "external", port: number): object {
  return bus === "embedded" ? { kind: "embedded", port } : { kind: "external", url: `mqtt://127.0.0.1:${port}` };
}

/** All-time counters of all agents, as the log has them. */
export function countersIn(data: string): Record<string, Record<string, number>> {
  const database = openForReading(join(data, "records.db"), recordsSchema);
  try {
    return totals(database);
  } finally {
    database.close();
  }
}

/** All decisions of a log in the order in which they were written, a page at a time. */
export function* eachDecision(data: string, agent?: string): Generator<PlacedDecision> {
  const database = openForReading(join(data, "records.db"), recordsSchema);
  try {
    let afterN: number | undefined;
    do {
      const page = recordPage(database, { kinds: ["decision"], agent, afterN, limit: 500, newestFirst: false });
      for (const { n, epoch, stream, seq, body } of page.rows)
        yield { n, epoch, stream, seq, decision: readDecision(body) };
      afterN = page.next;
    } while (afterN !== undefined);
  } finally {
    database.close();
  }
}

export function decisionsIn(data: string, agent?: string): PlacedDecision[] {
  return [...eachDecision(data, agent)];
}
