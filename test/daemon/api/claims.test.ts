import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type Claims, claimsFolder, createClaims } from "../../../daemon/api/claims.ts";

const ownUid = process.getuid?.() ?? 0;
const NOBODY = 65534;

function site() {
  const directory = mkdtempSync(join(tmpdir(), "claims-"));
  let now = 0;
  const claims = createClaims({ directory, clock: { bootMs: () => now }, ownUid });
  return { directory, claims, pass: (ms: number) => (now += ms) };
}

function claimed(claims: Claims, connection: object): string {
  const path = claims.claim(connection);
  if (path === undefined) throw new Error("no claim");
  return path;
}

function asNobody(script: string, ...args: readonly string[]): string {
  const command = [
    "--reuid",
    String(NOBODY),
    "--regid",
    String(NOBODY),
    "--clear-groups",
    process.execPath,
    "-e",
    script,
  ];
  return execFileSync("setpriv", [...command, ...args], { encoding: "utf8" });
}

describe("a claim", () => {
  test("shows whose directory it is, once", () => {
    const { claims } = site();
    const connection = {};
    const path = claimed(claims, connection);
    mkdirSync(path, 0o700);
    expect(claims.redeem(path, connection)).toBe(ownUid);
    expect(existsSync(path)).toBe(false);
    mkdirSync(path, 0o700);
    expect(claims.redeem(path, connection)).toBeUndefined();
  });

  test("is worth nothing on another connection, though the directory is right", () => {
    const { claims } = site();
    const mine = {};
    const path = claimed(claims, mine);
    mkdirSync(path, 0o700);
    expect(claims.redeem(path, {})).toBeUndefined();
    expect(claims.redeem(path, mine)).toBe(ownUid);
  });

  test("is worth nothing without its directory, or with a link or a file instead", () => {
    const { directory, claims } = site();
    const connection = {};
    const put: ((path: string) => void)[] = [
      () => undefined,
      (path) => symlinkSync(directory, path),
      (path) => writeFileSync(path, ""),
    ];
    for (const place of put) {
      const path = claimed(claims, connection);
      place(path);
      expect(claims.redeem(path, connection)).toBeUndefined();
    }
  });

  test("is worth nothing for a directory that others could have moved there", () => {
    const { directory, claims } = site();
    const connection = {};
    const path = claimed(claims, connection);
    const others = join(directory, "open-to-all");
    mkdirSync(others);
    execFileSync("chmod", ["777", others]);
    renameSync(others, path);
    expect(claims.redeem(path, connection)).toBeUndefined();
  });

  test("is worth nothing for a path that was not given", () => {
    const { directory, claims } = site();
    const connection = {};
    claimed(claims, connection);
    for (const path of [directory, "/", join(claimsFolder(directory), "ab"), "../x", ""])
      expect(claims.redeem(path, connection)).toBeUndefined();
  });

  test("expires", () => {
    const { claims, pass } = site();
    const connection = {};
    const path = claimed(claims, connection);
    mkdirSync(path, 0o700);
    pass(10_000);
    expect(claims.redeem(path, connection)).toBeUndefined();
    expect(existsSync(path)).toBe(false);
  });

  test("pushes out the oldest when there are too many, and leaves nothing behind", () => {
    const { directory, claims } = site();
    const connection = {};
    const paths = Array.from({ length: 300 }, () => {
      const path = claimed(claims, connection);
      mkdirSync(path, 0o700);
      return path;
    });
    expect(readdirSync(claimsFolder(directory))).toHaveLength(256);
    expect(claims.redeem(paths[0] ?? "", connection)).toBeUndefined();
    expect(claims.redeem(paths[299] ?? "", connection)).toBe(ownUid);
    // What an earlier daemon left goes at the next one's first claim.
    const next = createClaims({ directory, clock: { bootMs: () => 0 }, ownUid });
    claimed(next, connection);
    expect(readdirSync(claimsFolder(directory))).toEqual([]);
  });

  test("is not given in a folder that is somebody else's", () => {
    const { directory } = site();
    const claims = createClaims({ directory, clock: { bootMs: () => 0 }, ownUid: ownUid + 1 });
    expect(claims.claim({})).toBeUndefined();
    const linked = mkdtempSync(join(tmpdir(), "claims-"));
    symlinkSync("/tmp", claimsFolder(linked));
    expect(createClaims({ directory: linked, clock: { bootMs: () => 0 }, ownUid }).claim({})).toBeUndefined();
  });

  test.runIf(ownUid === 0)("of another user is that user's, and nobody can list or take another's", () => {
    const { directory, claims } = site();
    execFileSync("chmod", ["755", directory]);
    const connection = {};
    const path = claimed(claims, connection);
    expect(statSync(claimsFolder(directory)).mode & 0o7777).toBe(0o1733);
    asNobody("fs.mkdirSync(process.argv[1], 0o700)", path);
    expect(claims.redeem(path, connection)).toBe(NOBODY);
    const second = claimed(claims, connection);
    mkdirSync(second, 0o700);
    const tries = `
      const [folder, path, mine] = process.argv.slice(1);
      const tell = (work) => { try { work(); return "did"; } catch (error) { return error.code; } };
      console.log([
        tell(() => fs.readdirSync(folder)),
        tell(() => fs.rmdirSync(path)),
        tell(() => fs.renameSync(path, mine)),
        tell(() => fs.mkdirSync(path)),
      ].join());`;
    expect(asNobody(tries, claimsFolder(directory), second, `${second}x`).trim()).toBe("EACCES,EPERM,EPERM,EEXIST");
    expect(claims.redeem(second, connection)).toBe(0);
  });
});
