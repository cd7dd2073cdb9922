import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { childPath } from "../../../daemon/children.ts";
import { verifyLog } from "../../../daemon/store/verify.ts";
import { inside, openTestStore, temporaryDirectory } from "./support.ts";

const dist = dirname(dirname(childPath("daemon/main")));
const child = fileURLToPath(new URL("crash-child.mjs", import.meta.url));

interface Run {
  readonly acknowledged: string[];
  readonly signal: string | null;
  readonly status: number | null;
}

/** Runs the child until it dies by its crashpoint, by our hand after some acknowledgements, or in peace. */
async function run(directory: string, how: { crashpoint?: string; killAfter?: number; rows?: number }): Promise<Run> {
  const options = JSON.stringify({ dist, directory, crashpoint: how.crashpoint, rows: how.rows ?? 1200 });
  const started = spawn(process.execPath, [child, options], { stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  started.stdout.on("data", (chunk: Buffer) => {
    text += chunk.toString();
    if (how.killAfter !== undefined && text.length / 37 > how.killAfter) started.kill("SIGKILL");
  });
  const [status, signal] = (await once(started, "close")) as [number | null, string | null];
  return { acknowledged: text.split("\n").slice(0, -1), signal, status };
}

/** Everything that was acknowledged is there once, or its removal was announced; what counts it agrees; the chain holds. */
async function check(directory: string, acknowledged: readonly string[]): Promise<void> {
  const { store } = await openTestStore(directory, { maxBytes: 1_200_000 });
  const totals = (await store.restore()).totals;
  await store.stop();
  const verified = verifyLog({ directory });
  expect(verified.bad).toBeUndefined();
  inside(directory, (db) => {
    expect(db.pragma("quick_check", { simple: true })).toBe("ok");
    const ids = db.prepare("SELECT lower(hex(id)) FROM record WHERE kind = 1 ORDER BY n").pluck().all() as string[];
    expect(new Set(ids).size).toBe(ids.length);
    const announced = db
      .prepare("SELECT coalesce(sum(rows), 0) FROM dropped WHERE stream IN (1, 2)")
      .pluck()
      .get() as number;
    const waiting = db
      .prepare("SELECT coalesce(sum(toSeq - deletedSeq), 0) FROM dropped WHERE stream IN (1, 2)")
      .pluck()
      .get() as number;
    const stored = new Set(ids);
    const missing = acknowledged.filter((id) => !stored.has(id.replaceAll("-", "")));
    expect(missing.length).toBeLessThanOrEqual(announced);
    const counted = totals.pump?.decided ?? 0;
    expect(ids.length + announced - waiting).toBe(counted);
    expect(counted).toBeGreaterThanOrEqual(acknowledged.length);
  });
}

test.each(["key.before", "key.after"])(
  "dies at %s of its first start, and signs with one key from then on",
  async (point) => {
    const directory = temporaryDirectory();
    expect((await run(directory, { crashpoint: point })).signal).toBe("SIGKILL");
    await check(directory, []);
    await check(directory, []);
    const { signatures } = verifyLog({ directory });
    expect(signatures).toMatchObject({ checked: true, signed: [{ epochs: [1, 2] }], unsigned: [] });
    expect(readdirSync(directory).filter((name) => name.startsWith("gateway."))).toEqual([
      "gateway.key",
      "gateway.pub",
    ]);
  },
);

const points = [
  "open.before",
  "epoch.before",
  "epoch.after",
  "control.copy.before",
  "control.copy.after",
  "position.after",
  "commit.before",
  "commit.after",
  "commit.before:8",
  "commit.after:8",
  "minute.before:2",
  "minute.after:2",
  "checkpoint.before",
  "checkpoint.after",
  "drop.announced",
  "drop.deleted",
  "drop.deleted:2",
  "close.before",
  "close.after",
];

test("dies at each durable act in turn, and loses nothing that it had acknowledged", { timeout: 400_000 }, async () => {
  const directory = temporaryDirectory();
  const acknowledged: string[] = [];
  for (const point of points) {
    const died = await run(directory, { crashpoint: point });
    expect(`${point} ${died.signal}`).toBe(`${point} SIGKILL`);
    acknowledged.push(...died.acknowledged);
    await check(directory, acknowledged);
  }
  rmSync(directory, { recursive: true });
});

test("killed at any moment, loses nothing that it had acknowledged", async () => {
  const directory = temporaryDirectory();
  const acknowledged: string[] = [];
  for (let round = 0; round < 12; round++) {
    const died = await run(directory, { killAfter: 1 + ((round * 97) % 700) });
    acknowledged.push(...died.acknowledged);
    await check(directory, acknowledged);
  }
  rmSync(directory, { recursive: true });
});

test("stops in peace with everything on disk", async () => {
  const directory = temporaryDirectory();
  const done = await run(directory, { rows: 300 });
  expect(done).toMatchObject({ status: 0, signal: null });
  expect(done.acknowledged).toHaveLength(300);
  await check(directory, done.acknowledged);
  expect(inside(join(directory), (db) => db.prepare("SELECT count(*) FROM gap").pluck().get())).toBe(0);
});
