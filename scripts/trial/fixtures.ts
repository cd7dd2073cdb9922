import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { LogReader, type PlacedDecision } from "../../daemon/log-reader.ts";
import { totals } from "../../daemon/store/queries.ts";
import { recordsSchema } from "../../daemon/store/schema.ts";
import { openForReading } from "../../daemon/store/sqlite-reader.ts";

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

export function decisionsIn(data: string, agent?: string): PlacedDecision[] {
  const reader = new LogReader(data);
  try {
    return [...reader.all(agent === undefined ? {} : { agent })];
  } finally {
    reader.close();
  }
}
