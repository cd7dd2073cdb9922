import { describe, expect, test } from "vitest";
import { parseManifest } from "../../../daemon/backup/manifest.ts";
import { isArchived, isArchivedLink, isKept, isOurs, isSecret, modeOf } from "../../../daemon/backup/names.ts";
import { someManifest } from "./site.ts";

const known = { records: 3, control: 2 };
const parse = (over: Parameters<typeof someManifest>[0] = {}) =>
  parseManifest(JSON.stringify(someManifest(over)), known);
const file = (path: string) => ({ path, bytes: 1, sha256: "0".repeat(64) });

describe("a backup's manifest", () => {
  test("is taken as it was written", () => {
    expect(parse()).toMatchObject({ gateway: "plant-7", forms: { records: 1 } });
  });

  test.each([
    "/etc/passwd",
    "../records.db",
    "data/../../etc/cron.d/x",
    "data/fleet/../../x",
    "data/models/../records.db",
    "data//records.db",
    "data/./records.db",
    "data/lock.db",
    "data/control.sock",
    "data/unknown",
    "config/../holdfast.yaml",
    "config/run.sh",
    "config/conf.d/.hidden.yaml",
    "data/fleet/a\u0000b",
    "data/fleet/a\\b",
    "holdfast.yaml",
  ])("may not name %j", (path) => {
    const { files } = someManifest() as { files: object[] };
    expect(() => parse({ files: [...files, file(path)] })).toThrow(expect.objectContaining({ code: "BACKUP_FOREIGN" }));
  });

  test.each([
    ["data/fleet/current", "/etc"],
    ["data/fleet/current", "../../x"],
    ["data/fleet/current", "1/../../x"],
    ["data/models/x", "1"],
    ["data/fleet/1/gateway.key", "1"],
    ["config/holdfast.yaml", "x"],
  ])("may have no link from %s to %s", (path, target) => {
    expect(() => parse({ links: [{ path, target }] })).toThrow(expect.objectContaining({ code: "BACKUP_FOREIGN" }));
  });

  test("may have the links of a gateway's certificate", () => {
    const links = [
      { path: "data/fleet/current", target: "2" },
      { path: "data/fleet/gateway.key", target: "current/gateway.key" },
    ];
    expect(parse({ links }).links).toEqual(links);
  });

  test.each([[{ v: 2 }], [{ forms: { records: 4, control: 1 } }], [{ forms: { records: 1, control: 3 } }]])(
    "of a newer version is refused as that: %j",
    (over) => {
      expect(() => parse(over)).toThrow(expect.objectContaining({ code: "BACKUP_NEWER" }));
    },
  );

  test.each([
    [{ kind: "other" }],
    [{ createdAt: 1e300 }],
    [{ files: [file("data/records.db")] }],
    [{ files: [file("data/records.db"), file("data/control.db"), file("data/control.db")] }],
    [{ files: [{ ...file("data/records.db"), bytes: -1 }, file("data/control.db")] }],
    [{ files: [{ ...file("data/records.db"), bytes: 1e300 }, file("data/control.db")] }],
    [{ files: [{ ...file("data/records.db"), sha256: "x" }, file("data/control.db")] }],
    [{ files: "all" }],
    [{ links: [null] }],
    [{ head: null }],
    [{ forms: null }],
    [{ v: "1" }],
    [{ createdAt: "now" }],
  ])("that is not whole is refused: %j", (over) => {
    expect(() => parse(over)).toThrow(expect.objectContaining({ code: "BACKUP_FOREIGN" }));
  });

  test("that is no JSON, or none of an object, is refused", () => {
    for (const text of ["", "{", "null", "[]", "7"])
      expect(() => parseManifest(text, known)).toThrow(expect.objectContaining({ code: "BACKUP_FOREIGN" }));
  });
});

describe("the names of a data directory", () => {
  test("are kept where a gateway needs them again", () => {
    const model = `models/${"a".repeat(64)}/model.onnx`;
    for (const path of ["position.json", "gateway.key", "gateway.pub.0a1b", "fleet/1/gateway.key", "latch", model])
      expect(isKept(path), path).toBe(true);
    for (const path of ["lock.db", "records.db", "models/x/model.onnx", "who/1", "ballast", "control.sock"])
      expect(isKept(path), path).toBe(false);
  });

  test("are secret where they hold a private key or a token, and then only the owner may read them", () => {
    for (const path of ["gateway.key", "fleet/3/gateway.key", "fleet/next/enrolment.json"]) {
      expect(isSecret(path), path).toBe(true);
      expect(modeOf(path)).toBe(0o600);
    }
    expect(isSecret("gateway.pub")).toBe(false);
    expect(modeOf("gateway.pub")).toBe(0o644);
    expect(modeOf("records.db")).toBe(0o640);
  });

  test("are Holdfast's own only where it made them, and the latch is never taken away", () => {
    expect(isOurs("records.db-wal")).toBe(true);
    expect(isOurs("before-restore-20261128T000000Z")).toBe(true);
    for (const name of ["latch", "latch.ack", "lock.db", "notes.txt", "records"])
      expect(isOurs(name), name).toBe(false);
  });

  test("stand in an archive below data and config", () => {
    expect(isArchived("data/records.db")).toBe(true);
    expect(isArchived("config/conf.d/10-fleet.yaml")).toBe(true);
    expect(isArchived("records.db")).toBe(false);
    expect(isArchivedLink("data/fleet/current", "12")).toBe(true);
  });
});
