import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { decisions, gateways } from "../../fleet/asking.ts";
import { Collector } from "../../fleet/collector.ts";
import type { Database } from "../../fleet/database.ts";
import { openPglite } from "../../fleet/pglite.ts";
import { migrate } from "../../fleet/schema.ts";
import { createVoice, type Said } from "../../fleet/voice.ts";
import { becomes } from "../../scripts/trial/claims.ts";
import type { Acknowledgement, Backfill, Welcome } from "../../sync/messages.ts";
import { signerOf } from "../../sync/signing.ts";
import { gatewayTopics } from "../../sync/topics.ts";
import { clockSync, decision, drop, EPOCH, epochStart, hello, packed, SESSION } from "../support/fleet-batches.ts";

const folder = mkdtempSync(join(tmpdir(), "holdfast-collector-"));
const { privateKey, publicKey } = generateKeyPairSync("ed25519");
const WAIT_MS = 60_000;
let database: Database;
const started: Collector[] = [];

beforeAll(async () => {
  database = await openPglite(join(folder, "database"));
  await migrate(database);
});

afterEach(async () => {
  for (const one of started.splice(0)) await one.stop();
});

afterAll(async () => {
  await database.close();
  rmSync(folder, { recursive: true, force: true });
});

type Answer = Acknowledgement | Welcome | Backfill;

async function collector(over: { database?: Database; committed?: () => void; queue?: number } = {}) {
  const said: Answer[] = [];
  const warned: string[] = [];
  const one = new Collector(
    {
      ...{ database: over.database ?? database, nowMs: () => 1_795_843_907_000, committed: over.committed },
      voice: createVoice("north", signerOf(privateKey, publicKey), () => 1_795_843_907_000),
      publish: ({ payload }: Said) => void said.push(JSON.parse(payload) as Answer),
      log: { info: () => undefined, warn: (_fields, message) => void warned.push(message) },
    },
    { fleet: "north", queue: over.queue ?? 256, gatherMs: 0 },
  );
  await one.start();
  started.push(one);
  const up = (gateway: string, what: string, payload: Buffer): Promise<void> =>
    one.heard(gatewayTopics("north", gateway).up(what), payload);
  const acknowledged = (gateway: string): Acknowledgement | undefined =>
    said.filter((answer): answer is Acknowledgement => answer.kind === "ack" && answer.gateway === gateway).at(-1);
  return { one, said, warned, up, acknowledged };
}

async function rows(gateway: string): Promise<number> {
  const [row] = await database.query<{ n: number }>(
    "SELECT count(*) AS n FROM record r JOIN gateway g ON g.id = r.gateway WHERE g.name = $1",
    [gateway],
  );
  return row?.n ?? 0;
}

const line = async (gateway: string) => (await gateways(database)).find((one) => one.gateway === gateway);

test("acknowledges what is on disk, to the connection that sent it", async () => {
  const { up, acknowledged } = await collector();
  await up("plain", "decisions", packed([decision(1), decision(2)]));
  expect(await becomes(() => acknowledged("plain") !== undefined, WAIT_MS)).toBe(true);
  const expected = { session: SESSION, epoch: EPOCH, stream: 1, contiguous: 2, ranges: [], fleet: "north" };
  expect(acknowledged("plain")).toMatchObject(expected);
  expect(await rows("plain")).toBe(2);
});

test("says nothing while the database is away, and stores what waited once it is back", async () => {
  let isAway = true;
  const flaky: Database = {
    ...database,
    transaction: (work) => (isAway ? Promise.reject(new Error("connect ECONNREFUSED")) : database.transaction(work)),
  };
  const { up, said, warned, acknowledged } = await collector({ database: flaky });
  await up("away", "decisions", packed([decision(1)]));
  expect(await becomes(() => warned.length > 0, WAIT_MS)).toBe(true);
  expect(said).toEqual([]);
  isAway = false;
  expect(await becomes(() => acknowledged("away")?.contiguous === 1, WAIT_MS)).toBe(true);
});

test("ends at once while the database is away, and leaves what waited unacknowledged", async () => {
  const away: Database = { ...database, transaction: () => Promise.reject(new Error("connect ECONNREFUSED")) };
  const { one, up, said, warned } = await collector({ database: away });
  for (let n = 1; n <= 30; n++) await up(`gone-${n}`, "decisions", packed([decision(1)]));
  expect(await becomes(() => warned.length > 0, WAIT_MS)).toBe(true);
  await one.stop();
  expect(said).toEqual([]);
});

test("welcomes a gateway with what is stored, and asks for what is missing and does not wait there", async () => {
  const { up, said, acknowledged } = await collector();
  await up("asks", "decisions", packed([decision(1), decision(2)]));
  await up("asks", "decisions", packed([decision(7)], { lo: 7 }));
  expect(await becomes(() => acknowledged("asks")?.ranges.length === 1, WAIT_MS)).toBe(true);
  await up("asks", "hello", hello({ waiting: [{ epoch: EPOCH, ordinal: 2, stream: 1, lo: 3, hi: 4 }] }));
  expect(await becomes(() => said.some((one) => one.kind === "backfill"), WAIT_MS)).toBe(true);
  const welcome = said.find((one): one is Welcome => one.kind === "welcome");
  expect(welcome?.positions).toEqual([{ epoch: EPOCH, stream: 1, contiguous: 2, ranges: [[7, 7]] }]);
  expect(said.find((one) => one.kind === "backfill")).toMatchObject({ epoch: EPOCH, stream: 1, ranges: [[5, 6]] });
});

test("tells a gateway to wait while much waits to be stored, and takes no more than there is room for", async () => {
  let open: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  const slow: Database = { ...database, transaction: (work) => gate.then(() => database.transaction(work)) };
  const { one, said } = await collector({ database: slow, queue: 8 });
  let taken = 0;
  for (let n = 1; n <= 40; n++)
    void one.heard(gatewayTopics("north", `many-${n}`).up("decisions"), packed([decision(1)])).then(() => (taken += 1));
  await becomes(() => taken > 0, 500);
  expect(taken).toBeLessThan(40);
  open();
  expect(await becomes(() => said.length === 40, WAIT_MS)).toBe(true);
  expect(taken).toBe(40);
});

/** What a gateway may send that would be the end of a collector that believes it. */
const hostile: Readonly<Record<string, { readonly what: string; readonly payload: Buffer }>> = {
  "what is no gzip": { what: "decisions", payload: Buffer.from("nonsense") },
  "a gzip of 80 MB": { what: "decisions", payload: bomb(80) },
  "a line that is 16 MB of brackets": { what: "decisions", payload: deep(8_000_000) },
  "a record that is 1 MB of brackets": { what: "decisions", payload: deep(520_000) },
  "more than the largest batch": { what: "decisions", payload: Buffer.alloc(200_000) },
  "a batch of another stream": { what: "quiet", payload: packed([decision(1)]) },
  "a topic that there is not": { what: "nothing", payload: packed([decision(1)]) },
  "a range that is nearly endless": {
    what: "decisions",
    payload: packed([decision(1)], { hi: Number.MAX_SAFE_INTEGER, dropped: [] }),
  },
  "a hello with a NUL": { what: "hello", payload: hello({ software: "\u0000" }) },
  "a hello that is no JSON": { what: "hello", payload: Buffer.from("{") },
  "a hello of another clock": {
    what: "hello",
    payload: hello({ clock: { bootId: "\u0000", bootMs: 1e300, wallMs: Number.MIN_SAFE_INTEGER, trust: "" } }),
  },
  "a hello with all that a number may be": {
    what: "hello",
    payload: hello({
      waiting: Array.from({ length: 300 }, (_, at) => ({
        ...{ epoch: at.toString(16).padStart(16, "0"), ordinal: 1, stream: 1, lo: 1, hi: Number.MAX_SAFE_INTEGER },
      })),
    }),
  },
  "a start with a number that no column holds": {
    what: "safety",
    payload: packed([epochStart({ ordinal: 5_000_000_000, startedAt: Number.MIN_SAFE_INTEGER })], { stream: 0 }),
  },
  "a drop of a stream that there is not": {
    what: "safety",
    payload: packed([drop({ stream: 70_000 }), drop({ from: 1, to: Number.MAX_SAFE_INTEGER })], { stream: 0 }),
  },
  "clocks beyond time": {
    what: "safety",
    payload: packed([clockSync({ bootMs: 1e300 }), clockSync({ wallMs: Number.MAX_SAFE_INTEGER })], { stream: 0 }),
  },
  "a chain head of a million streams": {
    what: "safety",
    payload: packed(
      [{ v: 1, kind: "chainHead", heads: Array.from({ length: 90_000 }, (_, at) => ({ stream: at % 300, seq: at })) }],
      { stream: 0 },
    ),
  },
  "texts with NULs and half characters": {
    what: "decisions",
    payload: packed([decision(1, { agent: "a\u0000b", key: "\ud800" })]),
  },
  "times beyond time": {
    what: "decisions",
    payload: packed([
      '{"kind":"decision","decidedAt":1e400,"bootMs":1e400}',
      '{"kind":"decision","decidedAt":-9007199254740991,"bootMs":-1e300}',
      '{"kind":"decision","decidedAt":9007199254740991,"n":1e999999}',
    ]),
  },
};

/** So many megabytes of spaces: a thousandth of it when it is packed. */
function bomb(megabytes: number): Buffer {
  return gzipSync(Buffer.alloc(megabytes * 1_048_576, 32), { level: 9 });
}

function deep(count: number): Buffer {
  return packed([`{"kind":"decision","private":["x"],"inputs":${"[".repeat(count)}${"]".repeat(count)}}`]);
}

test.for(Object.entries(hostile))("is not stopped by %s", async ([name, { what, payload }]) => {
  const bad = `bad-${name.replaceAll(/[^a-z]/g, "-").slice(0, 40)}`;
  const good = `good-${bad}`;
  const { one, up, acknowledged } = await collector();
  await up(bad, what, payload);
  await up(good, "decisions", packed([decision(1)]));
  expect(await becomes(() => acknowledged(good)?.contiguous === 1, WAIT_MS)).toBe(true);
  await one.stop();
  // And those who ask get their answers.
  const found = await decisions(database, { limit: 1000 }, Date.now());
  expect(found.some((decided) => decided.line["gateway"] === good)).toBe(true);
  await decisions(database, { key: "k1", limit: 10 }, Date.now());
  await decisions(database, { rule: "up", limit: 10 }, Date.now());
  await database.query("SELECT * FROM decisions");
  await database.query("SELECT * FROM gaps");
  expect((await line(good))?.missing).toBe(0);
});

test("counts what it refuses by gateway, and says of the last why", async () => {
  const { one, up } = await collector();
  await up("noisy", "decisions", Buffer.from("nonsense"));
  expect(await becomes(() => one.figures().refused === 1, WAIT_MS)).toBe(true);
  // For a moment it is not listened to: what it sends costs nothing.
  for (let n = 0; n < 5; n++) await up("noisy", "decisions", Buffer.from("nonsense"));
  await up("calm-beside", "decisions", packed([decision(1)]));
  expect(await becomes(() => one.figures().records === 1, WAIT_MS)).toBe(true);
  expect(one.figures().refused).toBe(1);
  await one.stop();
  expect(await line("noisy")).toMatchObject({ refused: 1 });
});

test("lets no gateway's flood keep others waiting: they are served in turn", async () => {
  const { one, said } = await collector({ queue: 10_000 });
  const sent: Promise<void>[] = [];
  for (let n = 1; n <= 200; n++)
    sent.push(one.heard(gatewayTopics("north", "flood").up("decisions"), packed([decision(n)], { lo: n })));
  sent.push(one.heard(gatewayTopics("north", "calm").up("decisions"), packed([decision(1)])));
  await Promise.all(sent);
  expect(one.figures().waiting).toBeLessThanOrEqual(33);
  expect(await becomes(() => said.some(({ gateway }) => gateway === "calm"), WAIT_MS)).toBe(true);
});

test("stores what others sent when the database will not take one gateway's batch", async () => {
  const picky: Database = {
    ...database,
    transaction: (work) =>
      database.transaction((query) =>
        work({
          query: (sql, parameters) =>
            sql.includes("INTO record") && JSON.stringify(parameters).includes("unwanted")
              ? Promise.reject(Object.assign(new Error("value out of range"), { code: "22003" }))
              : query.query(sql, parameters),
        }),
      ),
  };
  const { one, up, acknowledged } = await collector({ database: picky });
  await up("picky-1", "decisions", packed([decision(1)]));
  await up("picky-2", "decisions", packed([decision(1, { agent: "unwanted" })]));
  await up("picky-3", "decisions", packed([decision(1)]));
  expect(await becomes(() => acknowledged("picky-3") !== undefined, WAIT_MS)).toBe(true);
  expect(acknowledged("picky-1")).toMatchObject({ contiguous: 1 });
  expect(acknowledged("picky-2")).toBeUndefined();
  await one.stop();
  expect(await line("picky-2")).toMatchObject({ refused: 1 });
});
