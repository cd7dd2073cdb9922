import { describe, expect, test } from "vitest";
import { importsOf, packageOf, read, type SourceFile, sources } from "./sources.ts";

/** Where each library may be imported; types may be named anywhere in the same top folder. */
const PLACES: Readonly<Record<string, readonly string[]>> = {
  "onnxruntime-node": ["models/host/session.ts"],
  aedes: ["daemon/bus/embedded.ts"],
  // Clients of the site's broker for what sensors say and for commands, the short-lived one with which `feed` publishes,
  // and the simulated plant's.
  mqtt: [
    "daemon/bus/external.ts",
    "daemon/bus/command-connection.ts",
    "daemon/bus/publisher.ts",
    "daemon/simulate/plant-bus.ts",
    // The fleet's broker: the gateway's end, and the collector's.
    "sync/link-client.ts",
    "fleet/broker.ts",
  ],
  // The fleet's end takes a folder as the daemon takes its data directory: by an exclusive transaction.
  "better-sqlite3": ["daemon/store/sqlite-writer.ts", "daemon/store/sqlite-reader.ts", "fleet/folder-lock.ts"],
  "@bufbuild/cel": ["daemon/expressions.ts"],
  // Reading a configuration, and writing one section of it.
  yaml: ["config/load.ts", "config/edit.ts"],
  "@peculiar/x509": ["sync/certificates.ts"],
  "reflect-metadata": ["sync/certificates.ts"],
  "node-cron": ["daemon/sources/schedule.ts"],
  "csv-parse": ["daemon/csv.ts"],
  pino: ["daemon/log.ts", "fleet/log.ts"],
  nodemailer: ["daemon/act/tools/mail.ts"],
  commander: ["daemon/commands/", "fleet/commands/"],
  pg: ["fleet/postgres.ts"],
  "@electric-sql/pglite": ["fleet/pglite.ts"],
  // Reads what an ONNX file says of itself.
  "@bufbuild/protobuf": ["models/onnx-file.ts"],
  zod: [
    "config/",
    "daemon/api/",
    "models/manifest.ts",
    "models/golden.ts",
    "sync/records.ts",
    "sync/messages.ts",
    "sync/command.ts",
    "sync/enrolment.ts",
  ],
};

function misplaced(files: readonly SourceFile[]): string[] {
  return files.flatMap(importsOf).flatMap((found) => {
    const name = packageOf(found);
    if (name === undefined) return [];
    const places = PLACES[name];
    if (places === undefined) return [`${found.from}: no place is named for ${name}`];
    const isThere = places.some((place) => (place.endsWith("/") ? found.from.startsWith(place) : found.from === place));
    const isNear = found.isType && places.some((place) => place.split("/")[0] === found.from.split("/")[0]);
    return isThere || isNear ? [] : [`${found.from} imports ${name}`];
  });
}

describe("each library", () => {
  const files = sources("config", "models", "sync", "daemon", "fleet");

  test("is imported in its one place", () => {
    expect(misplaced(files)).toEqual([]);
  });

  test("that is a dependency is used, and has a place", () => {
    const { dependencies } = JSON.parse(read("package.json").text) as { dependencies: Record<string, string> };
    const used = new Set(files.flatMap(importsOf).flatMap((found) => packageOf(found) ?? []));
    expect([...used].sort()).toEqual(Object.keys(dependencies).sort());
    expect(Object.keys(PLACES).sort()).toEqual([...used].sort());
  });

  test("would be found elsewhere", () => {
    const at = (path: string, text: string): string[] => misplaced([{ path, text }]);
    expect(at("daemon/compose.ts", 'import Sqlite from "better-sqlite3";\n')).toEqual([
      "daemon/compose.ts imports better-sqlite3",
    ]);
    expect(at("models/inference.ts", 'const ort = await import("onnxruntime-node");\n')).toHaveLength(1);
    expect(at("daemon/agent.ts", 'import { parse } from "csv-parse/sync";\n')).toHaveLength(1);
    expect(at("config/load.ts", 'import lodash from "lodash";\n')).toEqual([
      "config/load.ts: no place is named for lodash",
    ]);
    expect(at("daemon/bus/aedes-client.ts", 'import type { Client } from "aedes";\n')).toEqual([]);
    expect(at("models/queue.ts", 'import type { Client } from "aedes";\n')).toHaveLength(1);
  });
});
