import { describe, expect, test } from "vitest";
import {
  aboutUnit,
  daemonFinding,
  dropInFinding,
  latchFinding,
  lockHolder,
  modelsFinding,
  stateFinding,
  unitFinding,
  versionFinding,
  watchdogFinding,
} from "../../../daemon/doctor/service.ts";
import { loadedCredentials, unitFiles, unitOf } from "../../../daemon/doctor/unit.ts";
import type { Status } from "../../../daemon/status.ts";

const GOOD = {
  LoadState: "loaded",
  UnitFileState: "enabled",
  ActiveState: "active",
  SubState: "running",
  Result: "success",
  NRestarts: "0",
  NeedDaemonReload: "no",
};

describe("of the service, doctor", () => {
  test("reads what systemctl shows, a name that comes twice too", () => {
    expect(unitOf("User=holdfast\nStatusText=a=b\nX=1\nX=2\n")).toEqual({
      User: "holdfast",
      StatusText: "a=b",
      X: "1\n2",
    });
  });

  test("knows which credentials the unit's files load, and which a later one takes back", () => {
    const own = "[Service]\n# LoadCredential=no:/no\nLoadCredential=a:/etc/a\n";
    expect([...loadedCredentials([own, "LoadCredential=b:/etc/b c\nLoadCredential=plain"])]).toEqual([
      ["a", "/etc/a"],
      ["b", "/etc/b c"],
    ]);
    expect([...loadedCredentials([own, "LoadCredential=\nLoadCredential = d:/d\n"])]).toEqual([["d", "/d"]]);
    expect(unitFiles({ FragmentPath: "/u", DropInPaths: "/a.conf /b.conf" })).toEqual(["/u", "/a.conf", "/b.conf"]);
    expect(unitFiles({ FragmentPath: "", DropInPaths: "" })).toEqual([]);
  });

  test.each([
    [{}, undefined],
    [{ LoadState: "not-found" }, "missing"],
    [{ LoadState: "masked" }, "masked"],
    [{ LoadState: "bad-setting" }, "broken"],
    [{ UnitFileState: "disabled" }, "disabled"],
    [{ NeedDaemonReload: "yes" }, "outdated"],
  ])("finds of a unit with %j: %s", (change, found) => {
    expect(unitFinding({ ...GOOD, ...change }).problem).toBe(found);
  });

  test.each([
    [{}, undefined],
    [{ NRestarts: "5" }, undefined],
    [{ NRestarts: "6" }, "restarted"],
    [{ ActiveState: "failed", ExecMainStatus: "78" }, "bad-configuration"],
    [{ ActiveState: "failed", ExecMainStatus: "1" }, "failed"],
    [{ ActiveState: "activating", SubState: "auto-restart", NRestarts: "3" }, "failed"],
    [{ ActiveState: "activating", SubState: "start" }, undefined],
    [{ ActiveState: "inactive", ExecMainStatus: "0" }, "stopped"],
  ])("finds of a service with %j: %s", (change, found) => {
    expect(stateFinding({ ...GOOD, ...change }).problem).toBe(found);
  });

  test("wants the watchdog", () => {
    expect(["30s", "0", "infinity"].map((WatchdogUSec) => watchdogFinding({ WatchdogUSec }).level)).toEqual([
      "ok",
      "warning",
      "warning",
    ]);
  });

  test("tells a model that gives no answers while the daemon runs", () => {
    const model = { name: "linear", version: 1, digest: "d", strikes: 0, lane: "main" };
    const status = (state: string, ready = true) =>
      ({ ready, models: [{ ...model, state, reason: "its host was lost" }] }) as unknown as Status;
    expect(modelsFinding(status("ready")).level).toBe("ok");
    expect(modelsFinding(status("loading"))).toMatchObject({ problem: "unready", found: "linear: its host was lost" });
    expect(modelsFinding(status("loading", false)).level).toBe("skipped");
    expect(modelsFinding(undefined).level).toBe("skipped");
  });

  test("tells when the version before the installed one runs", () => {
    expect(versionFinding("1.0", undefined)).toMatchObject({ level: "ok", found: "1.0" });
    const found = versionFinding("1.0", "2.0 did not stay up after the upgrade from 1.0");
    expect(found).toMatchObject({ level: "error", found: "1.0 runs: 2.0 did not stay up after the upgrade from 1.0" });
  });

  test("names the drop-in of which systemd complains, and no other unit", () => {
    const said =
      "/lib/systemd/system/x.service:1: bad\n/etc/systemd/system/holdfast.service.d/a.conf:2: Unknown key name 'Foo' in section 'Service', ignoring.\n";
    expect(dropInFinding(aboutUnit(said)).todo).toContain("/etc/systemd/system/holdfast.service.d/a.conf,");
    expect(dropInFinding(aboutUnit("x.service: bad"))).toMatchObject({ level: "ok" });
  });

  test("finds who holds a lock, by device and inode", () => {
    const locks =
      "1: POSIX  ADVISORY  READ  10 fe:01:77 0 EOF\n2: POSIX  ADVISORY  WRITE 4711 fe:01:77 1073741824 1073742335\n3: FLOCK  ADVISORY  WRITE 12 fe:01:771 0 EOF\n";
    expect(lockHolder(locks, 0xfe01, 77)).toBe(4711);
    expect(lockHolder(locks, 0xfe01, 78)).toBeUndefined();
    expect(daemonFinding(4711, undefined)).toMatchObject({ problem: "hangs", todo: expect.stringContaining("4711") });
    expect(daemonFinding(undefined, undefined).level).toBe("ok");
  });

  test("says by whom and when effects were stopped", () => {
    const note = { latched: true, why: "repair", by: "maria", at: Date.UTC(2026, 0, 2), nonce: "00112233445566778899" };
    expect(latchFinding({ kind: "read", note }, true, "/d/latch")).toMatchObject({
      ...{ level: "warning", found: "stopped by maria at 2026-01-02T00:00:00.000Z: repair" },
      todo: expect.stringContaining("holdfast release --nonce 00112233445566778899"),
    });
    expect(latchFinding({ kind: "read", note: { ...note, latched: false } }, true, "l").level).toBe("ok");
    expect(latchFinding({ kind: "missing" }, false, "l").level).toBe("skipped");
    expect(latchFinding({ kind: "missing" }, true, "l").problem).toBe("lost");
    expect(latchFinding({ kind: "unreadable", reason: "it is damaged" }, true, "l").problem).toBe("lost");
  });
});
