import { chownSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { initFleet, writeRevocations } from "../../../fleet/enrol/init-fleet.ts";
import { makeFolder, writeOnce, writeWhole } from "../../../fleet/enrol/kept.ts";
import { Ledger } from "../../../fleet/enrol/ledger.ts";

let folder: string;
let umask: number;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "kept-"));
  umask = process.umask(0o077);
});
afterEach(() => {
  process.umask(umask);
  rmSync(folder, { recursive: true, force: true });
});

const rights = (path: string): string => (statSync(path).mode & 0o777).toString(8);

test("what is made has the rights that it is meant to have, whatever the umask says", async () => {
  const directory = join(folder, "north");
  const options = { fleet: "north", hosts: ["localhost"], port: 8883, directory, nowMs: Date.now() };
  const authority = await initFleet(options);
  expect(rights(directory)).toBe("755");
  const broker = join(directory, "broker");
  expect(
    ["acl", "crl.pem", "ca.pem", "broker.pem", "mosquitto.conf"].map((name) => rights(join(broker, name))),
  ).toEqual(Array(5).fill("644"));
  expect([rights(broker), rights(join(broker, "broker.key")), rights(join(directory, "ca"))]).toEqual([
    "755",
    "600",
    "700",
  ]);
  await writeRevocations(authority, new Ledger(authority.folder), join(broker, "crl.pem"), Date.now());
  expect(rights(join(broker, "crl.pem"))).toBe("644");
});

describe.skipIf(process.getuid?.() !== 0)("made by root", () => {
  const OWNER = 12_345;

  test("a file belongs to whom its folder belongs, and keeps its owner when it is written anew", () => {
    const own = join(folder, "own");
    mkdirSync(own);
    chownSync(own, OWNER, OWNER);
    writeOnce(join(own, "token.json"), "{}", 0o600);
    writeWhole(join(own, "crl.pem"), "1", 0o644);
    makeFolder(join(own, "issued"), 0o700);
    writeOnce(join(own, "issued", "1.pem"), "x");
    for (const name of ["token.json", "crl.pem", "issued", "issued/1.pem"])
      expect(`${name} ${statSync(join(own, name)).uid}`).toBe(`${name} ${OWNER}`);
    chownSync(join(own, "crl.pem"), OWNER + 1, OWNER + 1);
    writeWhole(join(own, "crl.pem"), "2", 0o600);
    const { uid, mode } = statSync(join(own, "crl.pem"));
    expect([uid, (mode & 0o777).toString(8)]).toEqual([OWNER + 1, "644"]);
    expect(readdirSync(own).filter((name) => name.endsWith(".tmp"))).toEqual([]);
  });
});
