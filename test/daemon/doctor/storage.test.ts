import { describe, expect, test } from "vitest";
import { accountOf, firstDenied, isAllowed, READ, WRITE } from "../../../daemon/doctor/account.ts";
import { mountOf } from "../../../daemon/doctor/paths.ts";
import {
  inodesFinding,
  permissionFindings,
  quarantineFinding,
  readOnlyFinding,
  spaceFinding,
  speedFinding,
  walFinding,
} from "../../../daemon/doctor/storage.ts";

const MIB = 1_048_576;
const BUDGET = { maxBytes: 1024 * MIB, ballastBytes: MIB };
const ACCOUNT = { user: "holdfast", group: "holdfast", uid: 997, gids: [997, 20] };

describe("an account", () => {
  const passwd = "root:x:0:0::/root:/bin/sh\nholdfast:x:997:996::/var/lib/holdfast:/bin/false\n";
  const groups = "root:x:0:\nholdfast:x:996:\ndialout:x:20:maria,holdfast\nvideo:x:44:maria\n";

  test("has the groups of both files", () => {
    expect(accountOf("holdfast", passwd, groups)).toEqual({
      user: "holdfast",
      group: "holdfast",
      uid: 997,
      gids: [996, 20],
    });
    expect(accountOf("nobody", passwd, groups)).toBeUndefined();
  });

  test.each([
    [0o600, 997, 0, true],
    [0o060, 997, 997, false],
    [0o060, 0, 20, true],
    [0o006, 0, 0, true],
    [0o600, 0, 0, false],
  ])("with mode %o of user %i and group %i may read and write: %s", (mode, uid, gid, allowed) => {
    expect(isAllowed(ACCOUNT, { mode, uid, gid }, READ | WRITE)).toBe(allowed);
    expect(isAllowed({ uid: 0, gids: [0] }, { mode, uid, gid }, READ | WRITE)).toBe(true);
  });

  test("is stopped by a folder that it may not pass", () => {
    const folder = { path: "/etc/holdfast", mode: 0o750, uid: 0, gid: 0 };
    const file = { path: "/etc/holdfast/a", mode: 0o644, uid: 0, gid: 0 };
    expect(firstDenied(ACCOUNT, [folder, file], READ)).toBe("/etc/holdfast");
    expect(firstDenied(ACCOUNT, [{ ...folder, mode: 0o751 }, file], READ)).toBeUndefined();
    expect(firstDenied(ACCOUNT, [{ ...folder, mode: 0o751 }, file], WRITE)).toBe("/etc/holdfast/a");
  });
});

describe("of storage, doctor", () => {
  test.each([
    [1024 * MIB, 0, "ok"],
    [1024 * MIB - 1, 0, "warning"],
    [100 * MIB, 924 * MIB, "ok"],
    [32 * MIB - 1, 1024 * MIB, "error"],
  ])("says of %i free bytes with %i used: %s", (freeBytes, used, level) => {
    expect(spaceFinding({ freeBytes, freeFiles: 1, files: 1 }, used, BUDGET, "/").level).toBe(level);
  });

  test("wants room for the ballast three times", () => {
    const room = { freeBytes: 100 * MIB, freeFiles: 1, files: 1 };
    expect(spaceFinding(room, 1024 * MIB, { ...BUDGET, ballastBytes: 40 * MIB }, "/data").todo).toContain("/data");
  });

  test("counts inodes where the file system does", () => {
    expect([100, 99].map((freeFiles) => inodesFinding({ freeBytes: 1, freeFiles, files: 5000 }, "/").level)).toEqual([
      "ok",
      "error",
    ]);
    expect(inodesFinding({ freeBytes: 1, freeFiles: 0, files: 0 }, "/").level).toBe("skipped");
  });

  test("judges a disk by its slowest sync, unless it was fast in the other round", () => {
    const fast = new Array<number>(19).fill(2);
    expect(speedFinding([[...fast, 250]])).toMatchObject({
      level: "ok",
      found: "p50 2.0 ms, p99 250.0 ms of 20 syncs",
    });
    expect(
      speedFinding([
        [251, ...fast],
        [...fast, 900],
      ]),
    ).toMatchObject({ problem: "slow", found: expect.stringContaining("p99 900.0") });
    expect(
      speedFinding([
        [251, ...fast],
        [...fast, 3],
      ]),
    ).toMatchObject({ level: "ok", found: expect.stringContaining("p99 3.0") });
  });

  test("finds the mount that a folder lies on, the uppermost of several", () => {
    const line = (point: string, options: string, disk: string) =>
      `36 25 0:32 / ${point} ${options} shared:1 - ext4 /dev/sda1 ${disk}`;
    const text = [
      line("/", "rw", "rw"),
      line("/var/lib/a\\040b", "ro,relatime", "rw"),
      line("/data", "rw", "rw"),
      line("/data", "rw", "ro,errors=remount-ro"),
    ].join("\n");
    expect(mountOf("/var/lib/a b/c", text)).toEqual({ point: "/var/lib/a b", isReadOnly: true });
    expect(mountOf("/database", text)).toEqual({ point: "/", isReadOnly: false });
    expect(readOnlyFinding("/data/x", mountOf("/data/x", text)).problem).toBe("read-only");
    expect(readOnlyFinding("/", mountOf("/", text)).level).toBe("ok");
  });

  test("names what the service may not write, and a key that all can read", () => {
    const entry = (path: string, mode: number, uid = 997) => ({ path, mode, uid, gid: 997 });
    const folder = entry("/d", 0o40750);
    const seen = permissionFindings(
      ACCOUNT,
      "/d",
      [[folder], [folder, entry("/d/records.db", 0o100640, 0)], [folder, entry("/d/gateway.key", 0o100644)]],
      "/d/gateway.key",
    );
    expect(seen.map((one) => `${one.problem} ${one.found}`)).toEqual(["denied /d/records.db", "exposed mode 0644"]);
    expect(seen[0]?.todo).toContain("chown -R holdfast:holdfast /d");
    expect(permissionFindings(ACCOUNT, "/d", [[folder]], "/d/gateway.key")).toMatchObject([{ level: "ok" }]);
  });

  test("warns of a large WAL and of databases that were set aside", () => {
    expect([64 * MIB, 64 * MIB + 1].map((bytes) => walFinding(bytes, "w").level)).toEqual(["ok", "warning"]);
    expect(quarantineFinding([]).level).toBe("ok");
    expect(quarantineFinding(["/d/records.db.corrupt-1"]).todo).toContain("rm /d/records.db.corrupt-1");
  });
});
