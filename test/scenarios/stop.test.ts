import { spawn, spawnSync } from "node:child_process";
import { chmodSync, chownSync, existsSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { callDaemon } from "../../daemon/api/control-client.ts";
import { childPath } from "../../daemon/children.ts";
import { findDaemon } from "../../daemon/daemon-process.ts";
import { latchPath, readLatch } from "../../daemon/latch-file.ts";
import { becomes } from "../../scripts/trial/claims.ts";
import { freePort, type RunningDaemon, startDaemon, temporaryFolder } from "../../scripts/trial/daemon.ts";
import { SmallDisk } from "../../scripts/trial/small-disk.ts";
import { until } from "../support/bus.ts";

const isRoot = process.getuid?.() === 0;
const NOBODY = 65534;
const mainPath = childPath("daemon/main");

const running: RunningDaemon[] = [];
afterEach(async () => {
  for (const daemon of running.splice(0)) if (daemon.child.exitCode === null) await daemon.kill();
});

async function site(people = ""): Promise<{ config: string; data: string; start(): Promise<RunningDaemon> }> {
  const folder = temporaryFolder("stop");
  chmodSync(folder, 0o755);
  const config = join(folder, "holdfast.yaml");
  writeFileSync(config, `schemaVersion: 1\nbus: { kind: embedded, port: ${await freePort()} }\nagents: {}\n${people}`);
  const data = join(folder, "data");
  const start = async () => {
    const daemon = await startDaemon(config, data);
    running.push(daemon);
    return daemon;
  };
  return { config, data, start };
}

interface Said {
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
}

function holdfast(args: readonly string[], wrapper: readonly string[] = []): Said {
  const command = [...wrapper, process.execPath, mainPath, ...args];
  const done = spawnSync(command[0] ?? "", command.slice(1), { encoding: "utf8" });
  return { status: done.status, out: done.stdout, err: done.stderr };
}

function stop(data: string, more: readonly string[] = [], wrapper: readonly string[] = []) {
  const said = holdfast(["stop", "smoke in hall 3", "--data", data, "--json", ...more], wrapper);
  return { ...said, told: said.out === "" ? undefined : (JSON.parse(said.out) as Record<string, unknown>) };
}

const asNobody = ["setpriv", "--reuid", String(NOBODY), "--regid", String(NOBODY), "--clear-groups"];

/** The records of a kind, once so many are on disk: who asked for something is answered before. */
async function safetyRecords(data: string, kind: string, count: number): Promise<Record<string, unknown>[]> {
  const parameters = { kinds: [kind], limit: 100, newestFirst: false };
  let rows: { body: string }[] = [];
  const areThere = async (): Promise<boolean> => {
    ({ rows } = (await callDaemon({ dataDirectory: data, verb: "page", parameters })) as { rows: { body: string }[] });
    return rows.length >= count;
  };
  expect(await becomes(areThere, 60_000), `${count} records of ${kind}`).toBe(true);
  return rows.map((row) => JSON.parse(row.body) as Record<string, unknown>);
}

describe("holdfast stop", () => {
  test("asks the daemon, which goes on deciding, and is stopped after a restart until somebody releases it", async () => {
    const { data, start } = await site();
    const daemon = await start();
    const { status, told } = stop(data);
    expect(status).toBe(0);
    expect(told).toMatchObject({ stopped: true, how: "daemon", why: "smoke in hall 3" });
    expect(await daemon.status()).toMatchObject({ latched: true, latch: { why: "smoke in hall 3" }, ready: true });
    // The stop is told when it lasts, which needs no record of it.
    await safetyRecords(data, "latch", 1);
    await daemon.kill();
    const next = await start();
    expect(await next.status()).toMatchObject({ latched: true });
    expect(holdfast(["release", "--data", data, "--nonce", "0123456789abcdef"])).toMatchObject({ status: 1 });
    expect(holdfast(["release", "--data", data, "--nonce", String(told?.["nonce"])])).toMatchObject({ status: 0 });
    expect(await next.status()).toMatchObject({ latched: false, latch: null });
    const records = await safetyRecords(data, "latch", 2);
    expect(records.map(({ latched, nonce }) => [latched, nonce])).toEqual([
      [true, told?.["nonce"]],
      [false, told?.["nonce"]],
    ]);
  });

  test("writes the file while no daemon runs, and the next one records it", async () => {
    const { data, start } = await site();
    await (await start()).stop();
    const { status, told } = stop(data);
    expect(status).toBe(0);
    expect(told).toMatchObject({ stopped: true, how: "down" });
    expect(holdfast(["release", "--data", data])).toMatchObject({ status: 1, err: expect.stringContaining("Start") });
    const next = await start();
    expect(await next.status()).toMatchObject({ latched: true, latch: { nonce: told?.["nonce"] } });
    await until("the line", () => next.lines.some((line) => line.event === "latched"));
    expect(await safetyRecords(data, "latch", 1)).toMatchObject([{ latched: true, why: "smoke in hall 3" }]);
  });

  test.each(["SIGTERM", "SIGINT", "SIGHUP"] as const)(
    "%s ends a daemon cleanly: no crash is found later",
    async (signal) => {
      const { start } = await site();
      const daemon = await start();
      daemon.child.kill(signal);
      await until("its end", () => daemon.child.exitCode !== null || daemon.child.signalCode !== null);
      expect([daemon.child.exitCode, daemon.child.signalCode]).toEqual([0, null]);
    },
  );

  test("one press of Ctrl-C that comes twice, since npm passes it on too, ends a daemon cleanly", async () => {
    const { start } = await site();
    const daemon = await start();
    daemon.child.kill("SIGINT");
    await until("the stop to begin", () => daemon.lines.some((line) => line.event === "stopping"));
    daemon.child.kill("SIGINT");
    await until("its end", () => daemon.child.exitCode !== null || daemon.child.signalCode !== null);
    expect([daemon.child.exitCode, daemon.child.signalCode]).toEqual([0, null]);
  });

  test("kills a daemon that hangs, since only then nothing can leave", async () => {
    const { data, start } = await site();
    const daemon = await start();
    daemon.child.kill("SIGSTOP");
    const { status, told } = stop(data);
    expect(status).toBe(0);
    expect(told).toMatchObject({ stopped: true, how: "killed", pid: daemon.pid });
    await until("its end", () => daemon.child.signalCode === "SIGKILL");
    expect(await (await start()).status()).toMatchObject({ latched: true, latch: { nonce: told?.["nonce"] } });
  });

  test("with --no-kill leaves it, says that it is not sure, and is obeyed when it wakes up", async () => {
    const { data, start } = await site();
    const daemon = await start();
    daemon.child.kill("SIGSTOP");
    const { status, told } = stop(data, ["--no-kill"]);
    expect(status).toBe(1);
    expect(told).toMatchObject({ stopped: false, how: "unsure", pid: daemon.pid });
    daemon.child.kill("SIGCONT");
    await until("the latch", () => daemon.lines.some((line) => line.event === "latched"));
    expect(await daemon.status()).toMatchObject({ latched: true, latch: { nonce: told?.["nonce"] } });
  });

  test("works by the file when the socket is gone, and leaves the daemon alive", async () => {
    const { data, start } = await site();
    const daemon = await start();
    rmSync(join(data, "control.sock"));
    const { status, told } = stop(data);
    expect(status).toBe(0);
    expect(told).toMatchObject({ stopped: true, how: "acknowledged" });
    expect(daemon.child.exitCode).toBeNull();
    await daemon.kill();
    expect(await (await start()).status()).toMatchObject({ latched: true });
  });

  test("needs no configuration that loads", async () => {
    const { config, data, start } = await site();
    await (await start()).stop();
    writeFileSync(config, `store: { directory: ${data} }\nbus: [`);
    expect(stop(data).told).toMatchObject({ how: "down" });
    const said = holdfast(["stop", "again", "--config", config, "--json"]);
    expect(JSON.parse(said.out)).toMatchObject({ stopped: true, how: "down", why: "again" });
    expect(readLatch(latchPath(data))).toMatchObject({ note: { latched: true, why: "again" } });
  });

  test("does not say that it stopped what is not there", async () => {
    const folder = temporaryFolder("nothing");
    expect(stop(join(folder, "gone"))).toMatchObject({ status: 1, told: undefined });
    expect(stop(folder)).toMatchObject({ status: 1, told: { stopped: false, how: "unsure" } });
  });

  test.runIf(isRoot)("is refused with a clear error to a user who may neither write nor ask", async () => {
    const { data, start } = await site();
    const daemon = await start();
    const { status, err, told } = stop(data, [], asNobody);
    expect({ status, told }).toEqual({ status: 1, told: undefined });
    expect(err).toContain("NOT_STOPPED");
    expect(await daemon.status()).toMatchObject({ latched: false });
  });

  test.runIf(isRoot)("works on a full disk, with the daemon up, hanging and down", async () => {
    const { config } = await site();
    const disk = new SmallDisk(temporaryFolder("stop-disk"), 24);
    try {
      const data = join(disk.folder, "data");
      const start = async () => {
        const daemon = await startDaemon(config, data);
        running.push(daemon);
        return daemon;
      };
      let daemon = await start();
      disk.fillTo(0);
      writeUntilFull(disk.folder);
      expect(stop(data)).toMatchObject({ status: 0, told: { stopped: true, how: "daemon" } });
      expect(await daemon.status()).toMatchObject({ latched: true });
      expect(readLatch(latchPath(data))).toMatchObject({ note: { latched: true } });
      daemon.child.kill("SIGSTOP");
      const hanging = stop(data);
      expect(hanging).toMatchObject({ status: 0, told: { stopped: true, how: "killed" } });
      const down = stop(data);
      expect(down).toMatchObject({ status: 0, told: { stopped: true, how: "down" } });
      expect(readLatch(latchPath(data))).toMatchObject({ note: { nonce: down.told?.["nonce"] } });
      disk.free();
      rmSync(join(disk.folder, "rest"), { force: true });
      daemon = await start();
      expect(await daemon.status()).toMatchObject({ latched: true, latch: { nonce: down.told?.["nonce"] } });
      await daemon.stop();
    } finally {
      disk.remove();
    }
  });
});

/** The last bytes too, which come in blocks smaller than the balloon's. */
function writeUntilFull(folder: string): void {
  const done = spawnSync("sh", ["-c", `while printf %04096d 0 >> "$0"; do :; done`, join(folder, "rest")]);
  expect(done.status).not.toBeNull();
}

describe.runIf(isRoot)("a user of this machine whom the file does not name", () => {
  const group = (data: string): void => {
    chmodSync(data, 0o750);
    chownSync(data, 0, NOBODY);
    chownSync(join(data, "control.sock"), 0, NOBODY);
  };

  test("may stop and tighten, and no more; each with their name", async () => {
    const { data, start } = await site();
    await start();
    group(data);
    expect(stop(data, [], asNobody)).toMatchObject({ status: 0, told: { how: "daemon", by: "user:nobody" } });
    const release = holdfast(["release", "--data", data], asNobody);
    expect(release).toMatchObject({ status: 1, err: expect.stringContaining("NOT_ALLOWED") });
    expect(holdfast(["mode", "observe", "--data", data], asNobody).status).toBe(0);
    expect(holdfast(["mode", "auto", "--data", data], asNobody).status).toBe(1);
    expect(await safetyRecords(data, "health", 2)).toMatchObject([
      { what: "personRefused", detail: { by: "user:nobody", verb: "release", reason: "unknown" } },
      { what: "personRefused", detail: { by: "user:nobody", verb: "mode", reason: "unknown", mode: "auto" } },
    ]);
    expect(holdfast(["mode", "auto", "--data", data]).status).toBe(0);
    expect((await safetyRecords(data, "mode", 2)).map(({ to, by }) => [to, by])).toEqual([
      ["observe", "user:nobody"],
      ["auto", "root"],
    ]);
    expect(existsSync(join(data, "who"))).toBe(true);
    expect(statSync(join(data, "who")).nlink).toBe(2);
  });

  test("is who the file says once it names them, and root is nobody then", async () => {
    const { data, start } = await site("people:\n  maria: { roles: [operator], localUser: nobody }\n");
    await start();
    group(data);
    expect(stop(data, [], asNobody).told).toMatchObject({ by: "maria" });
    expect(holdfast(["release", "--data", data])).toMatchObject({ status: 1 });
    expect(holdfast(["release", "--data", data], asNobody)).toMatchObject({ status: 0 });
  });
});

describe("the daemon's process", () => {
  test("is found by the lock it holds, and never another one that a file names", async () => {
    const { data, start } = await site();
    const daemon = await start();
    expect(findDaemon(data)?.pid).toBe(daemon.pid);
    const bystander = spawn("sleep", ["60"], { stdio: "ignore" });
    writeFileSync(join(data, "lock.pid"), `${bystander.pid}\n`);
    expect(findDaemon(data)?.pid).toBe(daemon.pid);
    // Also where another file lies in its place since, as after a restore that nobody should do.
    renameSync(join(data, "lock.db"), join(data, "lock.old"));
    rmSync(join(data, "lock.old"));
    writeFileSync(join(data, "lock.db"), "");
    expect(findDaemon(data)?.pid).toBe(daemon.pid);
    await daemon.kill();
    expect(findDaemon(data)).toBeUndefined();
    expect(stop(data).told).toMatchObject({ how: "down" });
    expect(bystander.exitCode).toBeNull();
    bystander.kill("SIGKILL");
  });
});
