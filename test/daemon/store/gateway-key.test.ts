import { createPublicKey, verify } from "node:crypto";
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { verifyLog } from "../../../daemon/store/verify.ts";
import { inside, openTestStore, put, temporaryDirectory } from "./support.ts";

/** One start of a daemon, and what it noted of it. */
async function start(directory: string): Promise<readonly string[]> {
  const { store } = await openTestStore(directory);
  put(store, 3);
  await store.stop();
  return store.epoch().notes;
}

const keyFiles = (directory: string): string[] => readdirSync(directory).filter((name) => name.startsWith("gateway."));

test("the first start makes a key that nobody else can read, and later ones go on with it", async () => {
  const directory = temporaryDirectory();
  expect(await start(directory)).toEqual([]);
  expect(statSync(join(directory, "gateway.key")).mode & 0o777).toBe(0o600);
  const key = readFileSync(join(directory, "gateway.key"), "utf8");
  expect(key).toContain("BEGIN PRIVATE KEY");
  expect(readFileSync(join(directory, "gateway.pub"), "utf8")).toContain("BEGIN PUBLIC KEY");
  expect(await start(directory)).toEqual([]);
  expect(readFileSync(join(directory, "gateway.key"), "utf8")).toBe(key);
  const { signatures } = verifyLog({ directory });
  expect(signatures).toMatchObject({ checked: true, signed: [{ epochs: [1, 2] }], unsigned: [] });
});

test("signatures are what the documentation says, so that others can check them", async () => {
  const directory = temporaryDirectory();
  await start(directory);
  const publicKey = createPublicKey(readFileSync(join(directory, "gateway.pub")));
  const bodies = inside(directory, (db) =>
    db.prepare("SELECT body FROM record WHERE kind IN (11, 12, 13)").pluck().all(),
  ) as string[];
  expect(bodies.length).toBeGreaterThan(1);
  for (const text of [...bodies, readFileSync(join(directory, "position.json"), "utf8").trim()]) {
    const { signature } = JSON.parse(text) as { signature: string };
    const at = text.indexOf(',"signature":"');
    const signed = Buffer.from(`${text.slice(0, at)}}`);
    expect(text.slice(at)).toBe(`,"signature":"${signature}"}`);
    expect(verify(null, signed, publicKey, Buffer.from(signature, "base64"))).toBe(true);
  }
});

test("a key that is gone is replaced, told, and what it signed can still be checked", async () => {
  const directory = temporaryDirectory();
  await start(directory);
  rmSync(join(directory, "gateway.key"));
  const notes = await start(directory);
  expect(notes.join()).toContain("gateway.key was missing");
  expect(notes.join()).toMatch(/signed by key [0-9a-f]{16} from here on, before by key [0-9a-f]{16}/);
  expect(keyFiles(directory)).toHaveLength(3);
  const { ok, signatures } = verifyLog({ directory });
  expect(ok).toBe(true);
  expect(signatures.signed.map((part) => part.epochs)).toEqual([[1], [2]]);
});

test.each([
  ["no key", (path: string) => writeFileSync(path, "no key at all")],
  ["empty", (path: string) => writeFileSync(path, "")],
  ["a folder", (path: string) => [rmSync(path), mkdirSync(path)]],
])("a key file that is %s is set aside and replaced", async (_what, damage) => {
  const directory = temporaryDirectory();
  await start(directory);
  damage(join(directory, "gateway.key"));
  expect((await start(directory)).join()).toContain("could not be read and was set aside");
  expect(keyFiles(directory).some((name) => name.startsWith("gateway.key.unreadable-"))).toBe(true);
  expect(verifyLog({ directory })).toMatchObject({ ok: true });
});

test("a key that others could read is closed to them", async () => {
  const directory = temporaryDirectory();
  await start(directory);
  chmodSync(join(directory, "gateway.key"), 0o644);
  expect((await start(directory)).join()).toContain("could be read by others");
  expect(statSync(join(directory, "gateway.key")).mode & 0o777).toBe(0o600);
});

test("without any key the log goes on unsigned; the next start that has one tells of it", async () => {
  const directory = temporaryDirectory();
  await start(directory);
  rmSync(join(directory, "gateway.key"));
  const inTheWay = join(directory, `gateway.key.${process.pid}.tmp`);
  mkdirSync(inTheWay);
  expect((await start(directory)).join()).toContain("the log is not signed");
  expect(verifyLog({ directory }).bad).toMatchObject({ what: "forged", epoch: 2 });
  rmSync(inTheWay, { recursive: true });
  await start(directory);
  const { ok, signatures } = verifyLog({ directory });
  expect(ok).toBe(true);
  expect(signatures.unsigned).toEqual([2]);
});
