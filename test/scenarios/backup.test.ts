import { spawn, spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import Sqlite from "better-sqlite3";
import { expect, test } from "vitest";
import { openPublisher } from "../../daemon/bus/publisher.ts";
import { childPath } from "../../daemon/children.ts";
import { freePort, type RunningDaemon, startDaemon, temporaryFolder } from "../../scripts/trial/daemon.ts";
import { until } from "../support/bus.ts";

const LONG_MS = 120_000;

function configOf(port: number, hook: number): object {
  return {
    ...{ schemaVersion: 1, bus: { kind: "embedded", port }, mode: "auto", device: { name: "plant-7" } },
    endpoints: { valve: { url: `http://127.0.0.1:${hook}/open`, privateAddress: true } },
    agents: {
      pump: {
        priority: "action",
        sources: [{ kind: "mqtt", topic: "pump/{k}", key: "k", fields: { v: {} } }],
        rules: [{ id: "high", when: "event.fields.v > 10", do: [{ tool: "open", arguments: { k: "event.key" } }] }],
        record: { quiet: "all" },
      },
    },
    tools: {
      open: { kind: "webhook", endpoint: "valve", body: { k: "{k}" }, class: "consequential", timeoutSeconds: 60 },
    },
    policy: [{ id: "open", effect: "permit", tools: ["open"] }],
  };
}

interface Ran {
  readonly status: number | null;
  readonly out: string;
}

function run(...args: string[]): Ran {
  const done = spawnSync(process.execPath, [childPath("daemon/main"), ...args], { encoding: "utf8" });
  return { status: done.status, out: `${done.stdout}${done.stderr}` };
}

/** Every position of the log with what was written there, and why each start began. */
function logOf(data: string) {
  const db = new Sqlite(join(data, "records.db"), { readonly: true });
  try {
    const rows = db
      .prepare(
        "SELECT lower(hex(e.id)) AS epoch, stream, seq, lower(hex(hash)) AS hash FROM record JOIN epoch e ON e.ordinal = record.epoch",
      )
      .all() as { epoch: string; stream: number; seq: number; hash: string }[];
    const gaps = db.prepare("SELECT reason FROM gap").pluck().all();
    const reasons = db.prepare("SELECT reason FROM epoch ORDER BY ordinal").pluck().all();
    return { gaps, reasons, places: new Map(rows.map((row) => [`${row.epoch}/${row.stream}/${row.seq}`, row.hash])) };
  } finally {
    db.close();
  }
}

test("a gateway that is backed up at work and restored later reuses no number, and does nothing again", {
  timeout: LONG_MS,
}, async () => {
  const folder = temporaryFolder("backup");
  const asked: string[] = [];
  // Never answers: what became of a request is not known.
  const server = createServer((request) => void request.on("data", (chunk: Buffer) => asked.push(chunk.toString())));
  server.listen(0, "127.0.0.1");
  await until("the server", () => server.listening);
  const [config, data, archive] = ["holdfast.yaml", "data", "plant-7.tar.gz"].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  writeFileSync(config, JSON.stringify(configOf(await freePort(), (server.address() as AddressInfo).port)));
  let daemon: RunningDaemon | undefined = await startDaemon(config, data);
  try {
    const say = async (key: string, value: number): Promise<void> => {
      const sensor = await openPublisher({ url: (daemon as RunningDaemon).bus, qos: 1 });
      await sensor.publish(`pump/${key}`, JSON.stringify({ v: value }));
      await sensor.drained();
      await sensor.close();
    };
    await say("a", 99);
    await until("the request", () => asked.length === 1);
    expect(run("backup", archive, "--config", config, "--data", data)).toMatchObject({ status: 0 });
    expect(run("backup", "verify", archive)).toMatchObject({ status: 0 });
    for (let at = 0; at < 20; at++) await say(`later-${at}`, 1);
    await say("b", 99);
    await until("another request", () => asked.length === 2);
    expect(run("restore", archive, "--yes", "--config", config, "--data", data)).toMatchObject({
      status: 1,
      out: expect.stringContaining(String(daemon.pid)),
    });
    await daemon.kill();
    const before = logOf(data);
    expect(run("restore", archive, "--yes", "--config", config, "--data", data)).toMatchObject({ status: 0 });
    daemon = await startDaemon(config, data);
    await say("c", 1);
    const told = (): string => run("actions", "--json", "--data", data).out;
    await until("the open action's end", () => told().includes('"unknown"'));
    await daemon.stop();
    daemon = undefined;
    const after = logOf(data);
    expect(after.reasons).toEqual(["first", "restored"]);
    expect(after.gaps).toEqual(["restored"]);
    // The same place means the same record, in what was lost and in what there is now.
    const clashes = [...after.places].filter(([place, hash]) => (before.places.get(place) ?? hash) !== hash);
    expect(clashes).toEqual([]);
    expect(before.places.size).toBeGreaterThan(20);
    expect(run("audit", "verify", "--data", data)).toMatchObject({ status: 0 });
    expect(asked).toHaveLength(2);
  } finally {
    await daemon?.kill();
    server.closeAllConnections();
    server.close();
    rmSync(folder, { recursive: true, force: true });
  }
});

test("a backup that is stopped or refused leaves nothing behind", { timeout: LONG_MS }, async () => {
  const folder = temporaryFolder("backup-stop");
  const [config, data, archive] = ["holdfast.yaml", "data", "a.tar.gz"].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  writeFileSync(config, JSON.stringify(configOf(await freePort(), 9)));
  const daemon = await startDaemon(config, data);
  try {
    expect(run("backup", archive, "--config", config, "--data", data).status).toBe(0);
    const first = readFileSync(archive);
    const again = run("backup", archive, "--config", config, "--data", data);
    expect(again).toMatchObject({ status: 1, out: expect.stringContaining("BACKUP_EXISTS") });
    expect(readFileSync(archive).equals(first)).toBe(true);
    // Something large, so that the stop comes in the middle.
    const model = join(data, "models", "a".repeat(64));
    spawnSync("mkdir", ["-p", model]);
    spawnSync("dd", ["if=/dev/urandom", `of=${join(model, "model.onnx")}`, "bs=1M", "count=200"]);
    const large = join(folder, "large.tar.gz");
    const child = spawn(process.execPath, [
      childPath("daemon/main"),
      "backup",
      large,
      "--config",
      config,
      "--data",
      data,
    ]);
    await until("the beginning", () => readdirSync(folder).some((name) => name.startsWith(".large.tar.gz.partial-")));
    child.kill("SIGINT");
    const status = await new Promise((resolve) => child.on("close", resolve));
    expect(status).toBe(1);
    expect(existsSync(large)).toBe(false);
    expect(readdirSync(folder).sort()).toEqual(["a.tar.gz", "data", "holdfast.yaml"]);
  } finally {
    await daemon.stop();
    rmSync(folder, { recursive: true, force: true });
  }
});
