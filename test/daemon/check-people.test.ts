import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { loadConfig } from "../../config/load.ts";
import { check } from "../../daemon/generation.ts";

const folder = mkdtempSync(join(tmpdir(), "holdfast-people-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** Every mistake of a gateway's people, as `path: message`. */
async function mistakes(people: object): Promise<string[]> {
  const file = join(folder, "holdfast.yaml");
  writeFileSync(file, JSON.stringify({ schemaVersion: 1, people, agents: {} }));
  const loaded = loadConfig({ file, environment: {} });
  if (!loaded.ok) return loaded.problems.map((one) => `${one.path}: ${one.message}`);
  const { problems } = await check(loaded, { dataDirectory: folder, bundled: folder });
  return problems.map((one) => `${one.path}: ${one.message}`);
}

const spki = (type: "ed25519" | "x25519"): string =>
  generateKeyPairSync(type as "ed25519")
    .publicKey.export({ format: "der", type: "spki" })
    .toString("base64");

test("two people who are known by the same thing are a mistake: one of them could say yes for both", async () => {
  const publicKey = spki("ed25519");
  const [tokenHash, localUser] = ["a".repeat(64), "maria"];
  const all = { publicKey, tokenHash, localUser };
  // The same key, written in another way.
  const others = { publicKey: `${publicKey.slice(0, 20)}\n${publicKey.slice(20)}`, tokenHash, localUser };
  const told = await mistakes({ ann: { roles: ["approver"], ...all }, ben: { roles: ["approver"], ...others } });
  expect(told.sort()).toEqual(
    ["localUser", "publicKey", "tokenHash"].map(
      (field) => `people.ben.${field}: it is ann's too: the gateway could not tell them apart`,
    ),
  );
  expect(told.join()).not.toContain(tokenHash);
  const own = { publicKey: spki("ed25519"), tokenHash: "b".repeat(64), localUser: "ben" };
  expect(await mistakes({ ann: { roles: ["approver"], ...all }, ben: { roles: ["approver"], ...own } })).toEqual([]);
});

test("a key that can verify nothing is a mistake", async () => {
  for (const publicKey of ["MCowBQYDK2VwAyEA", "?", spki("x25519")])
    expect(await mistakes({ ann: { roles: ["approver"], publicKey } })).toEqual([
      "people.ann.publicKey: this is no Ed25519 key",
    ]);
});

test("a person whom nothing tells from others is a mistake: nobody could act as them", async () => {
  expect(await mistakes({ jane: { roles: ["admin"] } })).toEqual([
    "people.jane: nothing says who this is: nobody could act as them",
  ]);
});
