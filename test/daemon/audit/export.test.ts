import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { exportHeader, exportLines, rangeOf } from "../../../daemon/audit/export.ts";
import { verifyExport } from "../../../daemon/audit/export-file.ts";
import { storeFiles } from "../../../daemon/store/files.ts";
import { keyringOf, publicKeysIn } from "../../../daemon/store/keyring.ts";
import { recordsSchema } from "../../../daemon/store/schema.ts";
import { openForReading } from "../../../daemon/store/sqlite-reader.ts";
import { verifyLog } from "../../../daemon/store/verify.ts";
import { makeTamperLog } from "../../../scripts/trial/tamper/log.ts";
import { strangersKey } from "../../../scripts/trial/tamper/tools.ts";
import { temporaryDirectory } from "../store/support.ts";

const folder = temporaryDirectory();
let directory = "";
let lines: string[] = [];

beforeAll(async () => {
  directory = await makeTamperLog(folder);
  lines = exported();
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The lines of an export, all of the log or the rows of a time. */
function exported(sinceMs = Number.NEGATIVE_INFINITY, untilMs = Number.POSITIVE_INFINITY): string[] {
  const files = storeFiles(directory);
  const database = openForReading(files.records, recordsSchema);
  try {
    const range = rangeOf(database, sinceMs, untilMs);
    const header = `${JSON.stringify(exportHeader(database, range, publicKeysIn(files), Date.now()))}\n`;
    return [header, ...(range === undefined ? [] : exportLines(database, range))];
  } finally {
    database.close();
  }
}

function verified(text: readonly string[] | string) {
  const path = join(folder, "export.ndjson");
  writeFileSync(path, typeof text === "string" ? text : text.join(""));
  return verifyExport({ path });
}

interface Line {
  readonly n: number;
  readonly epoch: number;
  readonly stream: string;
  readonly seq: number;
  readonly kind: string;
  readonly redacted?: boolean;
  readonly body: Record<string, unknown> & { readonly at?: number; readonly id: string };
}

const read = (line: string): Line => JSON.parse(line) as Line;
const timeOf = (line: Line): number => Number.parseInt(line.body.id.replaceAll("-", "").slice(0, 12), 16);

describe("an export of the whole log", () => {
  test("verifies without the gateway, as the log does", () => {
    const { rows, epochs, droppedRows, signatures } = verifyLog({ directory });
    expect(verified(lines)).toMatchObject({ ok: true, rows, epochs, droppedRows, unattested: 1, signatures });
    expect(read(lines[1] ?? "")).toMatchObject({ n: 1, epoch: 1, stream: "safety", seq: 1, kind: "epochStart" });
  });

  test("leaves private values out, says where, and still verifies", () => {
    const told = lines.slice(1).map(read);
    const decisions = told.filter((line) => line.kind === "decision");
    expect(decisions.length).toBeGreaterThan(20);
    for (const { body, redacted } of decisions) {
      expect(redacted).toBe(true);
      expect(body["inputs"]).toMatchObject({ weight: "(private)" });
    }
    expect(lines.join("")).not.toContain("31.25");
    expect(told.filter((line) => line.kind !== "decision" && line.redacted === true)).toEqual([]);
  });

  test("is refused where it is signed by another key than the one that is named", () => {
    const path = join(folder, "export.ndjson");
    writeFileSync(path, lines.join(""));
    expect(verifyExport({ path, keyring: keyringOf([strangersKey]) }).bad).toMatchObject({ what: "forged", n: 1 });
  });

  test.each([
    ["a line taken out", (all: string[], at: number) => void all.splice(at, 1), "missing"],
    ["a line put in again", (all: string[], at: number) => void all.splice(at, 0, all[at] as string), undefined],
    ["two lines exchanged", (all: string[], at: number) => exchange(all, at), undefined],
    ["a body changed", (all: string[], at: number) => edit(all, at, '"body":{', '"body":{"x":1,'), "edited"],
    ["a hash changed", (all: string[], at: number) => edit(all, at, '"hash":"', '"hash":"00'), "edited"],
    ["the end cut off", (all: string[], at: number) => void all.splice(at), "truncated"],
    ["a line that is none", (all: string[], at: number) => void all.splice(at, 1, "{\n"), "unreadable"],
  ])("with %s does not verify", (_what, change, what) => {
    const at = lines.findIndex((line) => line.includes('"kind":"latch"') && line.includes('"epoch":3'));
    const all = [...lines];
    change(all, at);
    const { ok, bad } = verified(all);
    expect(ok).toBe(false);
    if (what !== undefined) expect(bad?.what).toBe(what);
    expect(bad?.n ?? (bad?.afterN ?? 0) + 1).toBeLessThanOrEqual(read(lines[at] ?? "").n + 1);
  });

  test("a latch record that was taken out with its place closed is forged or missing", () => {
    const all = lines.filter((line) => !line.includes('"kind":"latch"') || !line.includes('"epoch":4'));
    expect(verified(all).bad).toMatchObject({ what: "missing", epoch: 4, stream: 0 });
  });
});

describe("an export of a part", () => {
  test("from and to any row verifies, with what the heads in it tell", () => {
    const all = lines.slice(1).map(read);
    for (let at = 0; at < all.length; at += 9) {
      const [from, to] = [all[at], all[Math.min(all.length - 1, at + 40)]] as [Line, Line];
      // Retention goes by the real clock, and the rest of this log by one that was set ahead.
      const times = [timeOf(from), timeOf(to)];
      const part = exported(Math.min(...times), Math.max(...times));
      const result = verified(part);
      expect(result.bad, `from ${from.n} to ${to.n}`).toBeUndefined();
      expect(result.rows).toBe(part.length - 1);
      expect(read(part[1] ?? "").n).toBeLessThanOrEqual(from.n);
      expect(read(part.at(-1) ?? "").n).toBeGreaterThanOrEqual(to.n);
    }
  });

  test("of a time without rows is a header alone", () => {
    const part = exported(0, 1);
    expect(part).toHaveLength(1);
    expect(verified(part)).toMatchObject({ ok: true, rows: 0 });
  });
});

test("what is no export is told as such", () => {
  for (const text of ["", "no export\n", '{"v":1}\n', '{"v":2,"kind":"holdfast-export"}\n'])
    expect(() => verified(text)).toThrow(expect.objectContaining({ code: "STORE_EXPORT" }));
  expect(() => verifyExport({ path: join(folder, "nowhere") })).toThrow(
    expect.objectContaining({ code: "STORE_EXPORT" }),
  );
});

function exchange(all: string[], at: number): void {
  const [a, b] = [all[at], all[at + 1]] as [string, string];
  all.splice(at, 2, b, a);
}

function edit(all: string[], at: number, from: string, to: string): void {
  all[at] = (all[at] ?? "").replace(from, to);
}
