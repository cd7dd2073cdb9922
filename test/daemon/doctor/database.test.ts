import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type DatabaseFact, databaseFindings } from "../../../daemon/doctor/database.ts";
import { databaseChecks } from "../../../daemon/doctor/database-checks.ts";
import type { Finding } from "../../../daemon/doctor/finding.ts";
import { speedChecks, storageChecks } from "../../../daemon/doctor/storage-checks.ts";
import { migrate, type Schema } from "../../../daemon/store/migrations.ts";
import { controlSchema, recordsSchema } from "../../../daemon/store/schema.ts";
import { openForWriting } from "../../../daemon/store/sqlite-writer.ts";
import { siteOf } from "./site.ts";

let folder: string;
const never = new AbortController().signal;

function make(name: string, schema: Schema, change: (path: string) => void = () => undefined): void {
  const path = join(folder, name);
  const database = openForWriting(path);
  if (name === "records.db") database.pragma("journal_mode = WAL");
  migrate(database, schema);
  database.close();
  change(path);
}

async function looked(): Promise<readonly Finding[]> {
  return (await databaseChecks[0]?.look(siteOf({ dataDirectory: folder }), never)) ?? [];
}

const said = (findings: readonly Finding[], check: string): string => {
  const found = findings.find((one) => one.check === check);
  return found?.problem ?? found?.level ?? "nothing";
};

/** Four bytes of the header, SQLite's file format 1.3. */
function header(at: number, value: number) {
  return (path: string): void => {
    const bytes = readFileSync(path);
    bytes.writeUInt32BE(value, at);
    writeFileSync(path, bytes);
  };
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "holdfast-doctor-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

describe("of databases, doctor", () => {
  test("is content with sound ones, and leaves every byte of them as it was", async () => {
    make("records.db", recordsSchema);
    make("control.db", controlSchema);
    const before = ["records.db", "control.db"].map((name) => readFileSync(join(folder, name)));
    const findings = await looked();
    expect(findings.filter(({ level }) => level === "error" || level === "warning")).toEqual([]);
    expect(
      ["storage.log", "storage.control", "storage.audit", "service.mode"].map((check) => said(findings, check)),
    ).toEqual(["ok", "ok", "ok", "ok"]);
    expect(["records.db", "control.db"].map((name) => readFileSync(join(folder, name)))).toEqual(before);
    expect(readdirSync(folder).sort()).toEqual(["control.db", "records.db"]);
  });

  test("says that nothing is there yet", async () => {
    const findings = await looked();
    expect(["storage.log", "storage.control", "storage.audit"].map((check) => said(findings, check))).toEqual([
      "skipped",
      "skipped",
      "skipped",
    ]);
  });

  test.each([
    ["newer", header(60, 99)],
    ["foreign", header(68, 7)],
    ["damaged", (path: string) => writeFileSync(path, "this is no database at all, and never was one")],
    ["damaged", (path: string) => truncateSync(path, statSync(path).size - 4096)],
  ])("finds that they are %s", async (problem, change) => {
    make("records.db", recordsSchema, change);
    make("control.db", controlSchema, change);
    const findings = await looked();
    expect([said(findings, "storage.log"), said(findings, "storage.control")]).toEqual([problem, problem]);
    expect(said(findings, "storage.audit")).toBe("skipped");
  });

  test("leaves a WAL that was there, whatever is in it", async () => {
    make("records.db", recordsSchema);
    const writer = openForWriting(join(folder, "records.db"));
    writer.exec("INSERT INTO agent (name) VALUES ('a')");
    const wal = readFileSync(join(folder, "records.db-wal"));
    expect(said(await looked(), "storage.log")).toBe("ok");
    expect(wal.byteLength).toBeGreaterThan(0);
    expect(readFileSync(join(folder, "records.db-wal"))).toEqual(wal);
    writer.close();
  });

  test("blames no log for what this user may not", () => {
    const told: DatabaseFact = {
      about: "records",
      kind: "failed",
      code: "STORE_QUERY",
      found: "unable to open",
      sqlite: "SQLITE_CANTOPEN",
    };
    const site = { directory: "/d", group: "g", nowMs: Date.UTC(2026, 1, 1), hasFleet: false, withinMs: 1 };
    const levels = [true, false].map((mayWrite) =>
      said(databaseFindings([told], { ...site, mayWrite }), "storage.log"),
    );
    expect(levels).toEqual(["closed", "skipped"]);
  });

  test("takes what was told until the time was over", () => {
    const told: DatabaseFact[] = [{ about: "records", kind: "read", version: 3, said: "ok" }];
    const site = {
      directory: "/d",
      group: "g",
      nowMs: Date.UTC(2026, 1, 1),
      hasFleet: true,
      withinMs: 12_000,
      mayWrite: true,
    };
    const findings = databaseFindings(told, site);
    expect(findings.map(({ check, level }) => `${check} ${level}`)).toEqual([
      ...["machine.clock ok", "storage.log ok", "storage.control skipped", "storage.audit skipped"],
      ...["service.mode skipped", "service.outbox skipped"],
    ]);
    expect(findings[3]?.found).toContain("holdfast audit verify");
  });

  test("finds what has waited for the fleet for more than a day", () => {
    const nowMs = Date.UTC(2026, 1, 2);
    const stream = (oldestMs: number) => ({
      stream: 0,
      records: 4,
      bytes: 2000,
      oldestMs,
      acknowledged: undefined,
      droppedRows: 0,
    });
    const at = (oldestMs: number, hasFleet = true) =>
      said(
        databaseFindings([{ about: "outbox", streams: [stream(oldestMs)] }], {
          directory: "/d",
          group: "g",
          nowMs,
          hasFleet,
          withinMs: 1,
          mayWrite: true,
        }),
        "service.outbox",
      );
    expect([at(nowMs - 86_400_000), at(nowMs - 86_400_001), at(0, false)]).toEqual(["ok", "old", "skipped"]);
  });
});

describe("of the data directory, doctor", () => {
  test("measures the disk and leaves nothing there", async () => {
    const [finding] = (await speedChecks[0]?.look(siteOf({ dataDirectory: folder }), never)) ?? [];
    expect(finding?.found).toMatch(/^p50 \d+\.\d ms, p99 \d+\.\d ms of \d+ syncs$/);
    expect(readdirSync(folder)).toEqual([]);
  });

  test("finds databases that were set aside, and room on the disk", async () => {
    writeFileSync(join(folder, "records.db.corrupt-1700000000000"), "");
    writeFileSync(join(folder, "records.db.corrupt-1700000000000-wal"), "");
    const site = siteOf({ dataDirectory: folder });
    const findings = (await Promise.all(storageChecks.map((check) => check.look(site, never)))).flat();
    expect(said(findings, "storage.quarantine")).toBe("aside");
    expect(said(findings, "storage.permissions")).toBe("ok");
    expect(findings.find(({ check }) => check === "storage.space")?.found).toContain("free");
  });
});
