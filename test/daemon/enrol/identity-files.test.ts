import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { childPath } from "../../../daemon/children.ts";
import { IdentityFiles } from "../../../daemon/enrol/identity-files.ts";
import { keyPem, newKey } from "../../../sync/certificate-facts.ts";

const dist = dirname(dirname(childPath("daemon/main")));
const child = fileURLToPath(new URL("identity-child.mjs", import.meta.url));
const issuer = keyPem(newKey());
let directory = "";
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "holdfast-identity-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

function takesANewPair(crashpoint?: string): void {
  const options = JSON.stringify({ dist, directory, crashpoint, issuer });
  const { stderr, signal } = spawnSync(process.execPath, [child, options], { encoding: "utf8" });
  expect(`${signal} ${stderr}`).toBe(`${crashpoint === undefined ? null : "SIGKILL"} `);
}

const POINTS = [
  "identity.key.before",
  "identity.key.after",
  "identity.certificate.after",
  "identity.moved",
  "identity.current.before",
  "identity.current.after",
];

test.each(POINTS)("a death at %s leaves a pair that fits, and the next one succeeds", (point) => {
  takesANewPair();
  const files = new IdentityFiles(directory);
  const before = files.current()?.certificate;
  expect(before).toBeDefined();
  takesANewPair(point);
  // Reads both files, and throws where they do not belong together.
  const after = files.current()?.certificate;
  expect(after === before).toBe(point !== "identity.current.after");
  takesANewPair();
  expect(files.current()?.certificate).not.toBe(after);
  files.settle();
  expect(readdirSync(files.folder).filter((name) => /^\d/.test(name))).toHaveLength(1);
  expect(files.current()).toBeDefined();
});

test.each([
  ...POINTS.slice(0, 4),
  "identity.gateway.key.before",
  "identity.gateway.pem.after",
  "identity.current.before",
])("a death at %s of the first one leaves none, and the next one succeeds", (point) => {
  takesANewPair(point);
  const files = new IdentityFiles(directory);
  expect(files.current()).toBeUndefined();
  takesANewPair();
  expect(files.current()?.facts.commonName).toBe("plant-7");
});

test("the key is the daemon's alone, and the same until its certificate has come", () => {
  const files = new IdentityFiles(directory);
  const key = keyPem(files.nextKey());
  expect(keyPem(new IdentityFiles(directory).nextKey())).toBe(key);
  takesANewPair();
  expect(files.current()?.key).toBe(key);
  expect(statSync(files.paths.key).mode & 0o077).toBe(0);
  expect(files.hasNext()).toBe(false);
  expect(keyPem(files.nextKey())).not.toBe(key);
});

test("of two pairs one is used, and they can change places", () => {
  takesANewPair();
  const files = new IdentityFiles(directory);
  expect([files.hasOther(), files.swap()]).toEqual([false, false]);
  const first = files.current()?.certificate;
  takesANewPair();
  const second = files.current()?.certificate;
  expect([files.swap(), files.current()?.certificate]).toEqual([true, first]);
  expect([files.swap(), files.current()?.certificate]).toEqual([true, second]);
  files.settle();
  expect([files.hasOther(), files.current()?.certificate]).toEqual([false, second]);
});
