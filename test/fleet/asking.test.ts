import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { decisions, gateways } from "../../fleet/asking.ts";
import { waitingProposal } from "../../fleet/command/proposals.ts";
import type { Database } from "../../fleet/database.ts";
import { incoming } from "../../fleet/incoming.ts";
import { openPglite } from "../../fleet/pglite.ts";
import { openPostgres } from "../../fleet/postgres.ts";
import { keepHello, keepState } from "../../fleet/roll.ts";
import { migrate } from "../../fleet/schema.ts";
import { storeBatches } from "../../fleet/storing.ts";
import { Tidy } from "../../fleet/tidy.ts";
import { type OwnPostgres, startPostgres } from "../../scripts/trial/fleet/postgres.ts";
import { decodeBatch } from "../../sync/batch.ts";
import { type Hello, helloSchema, readMessage, type StateDocument } from "../../sync/messages.ts";
import { clockSync, decision, EPOCH, epochStart, hello, packed } from "../support/fleet-batches.ts";
import { describeWithPostgres } from "../support/postgres.ts";

const NOW = 1_795_843_907_000;
const THIRD = "3333333333333333";
const FOURTH = "4444444444444444";

/** The same for both kinds of database. */
function suite(open: () => Promise<Database>): void {
  let database: Database;
  beforeAll(async () => {
    database = await open();
    await migrate(database);
  });
  afterAll(async () => await database.close());

  const store = async (gateway: string, ...payloads: readonly Buffer[]) =>
    await storeBatches(
      database,
      payloads.map((payload) => incoming(gateway, decodeBatch(payload))),
    );
  const gateway = async (name: string) => (await gateways(database)).find((one) => one.gateway === name);
  const helloOf = (session: string): Hello => readMessage(helloSchema, hello({ session })) as Hello;
  const state = (session: string, what: StateDocument["state"], at = NOW): StateDocument => ({
    ...{ v: 1, kind: "state", state: what, session, software: "0.1.0", at },
  });

  test("an action that waits for people is found by its id, at its own gateway, with all that it would do", async () => {
    const [id, other] = ["01993a0e-5b1c-7a54-9d5e-0f3c2b1a4d5e", "01993a0e-5b1c-7a54-9d5e-0f3c2b1a4d5f"];
    const inTime = { bootMs: 1, wallMs: NOW, boot: "b" };
    const proposal = (more: object): object => ({
      ...{ v: 1, kind: "proposal", id, agent: "a", key: "k", rule: "r", tool: "open", target: "v1" },
      ...{ arguments: { valve: "v1" }, private: ["valve"], class: "reversible", policy: "0011223344556677" },
      ...{ verdict: { effect: "requireApproval", rules: [] }, executeBefore: inTime, approveBefore: inTime },
      ...{ idempotencyKey: "i", needs: 1, hash: "0".repeat(64), state: "awaitingApproval", ...more },
    });
    const denied = proposal({ id: other, state: "denied", reason: id });
    await store("asks", packed([decision(1, { key: id }), denied, proposal({})]));
    expect(await waitingProposal(database, { gateway: "asks", id })).toMatchObject({ id, arguments: { valve: "v1" } });
    expect(await waitingProposal(database, { gateway: "asks", id: other })).toBeNull();
    expect(await waitingProposal(database, { gateway: "another", id })).toBeNull();
  });

  test("a boot that never heard the time lies between its neighbours; what lies there already is left as it is", async () => {
    const sync = (bootId: string, wallMs: number): object => clockSync({ bootId, wallMs, bootMs: 1000 });
    const quick = (at: number, n: number): object => decision(n, { decidedAt: at });
    await store(
      "bounds",
      packed([epochStart({ bootId: "b2" }), sync("b2", 1_700_000_000_000)], { stream: 0 }),
      packed([epochStart({ epoch: THIRD, ordinal: 3, bootId: "b3" })], { stream: 0, epoch: THIRD }),
      packed([quick(5, 1), quick(1_700_000_500_000, 2), quick(1_900_000_000_000, 3)], { epoch: THIRD }),
      packed([epochStart({ epoch: FOURTH, ordinal: 4, bootId: "b4" }), sync("b4", 1_700_001_001_000)], {
        ...{ stream: 0, epoch: FOURTH },
      }),
    );
    const found = await decisions(database, { gateway: "bounds", limit: 10 }, Date.now());
    expect(found.map(({ line }) => [line["timeQuality"], Date.parse(String(line["correctedTime"]))])).toEqual([
      ["bounded", 1_700_000_000_000],
      ["bounded", 1_700_000_500_000],
      ["bounded", 1_700_001_000_000],
    ]);
  });

  test("a start that goes on from where another one went on is a fork, and told when it comes", async () => {
    const first = await store(
      "twin",
      packed([epochStart({ epoch: THIRD, ordinal: 3, previous: EPOCH })], { stream: 0, epoch: THIRD }),
    );
    expect(first.forked).toEqual([]);
    const copy = packed([epochStart({ epoch: FOURTH, ordinal: 3, previous: EPOCH })], { stream: 0, epoch: FOURTH });
    expect((await store("twin", copy)).forked).toEqual(["twin"]);
    expect(await gateway("twin")).toMatchObject({ epochs: 2, forks: 2 });
  });

  test("a last will of an earlier connection does not make a gateway lost", async () => {
    const [old, fresh] = ["0000000000000001", "0000000000000002"];
    await keepHello(database, "will", helloOf(old), NOW);
    await keepHello(database, "will", helloOf(fresh), NOW);
    await keepState(database, "will", state(old, "lost"), NOW);
    expect(await gateway("will")).toMatchObject({ state: "ready" });
    await keepState(database, "will", state(fresh, "lost"), NOW);
    expect(await gateway("will")).toMatchObject({ state: "lost" });
    await keepState(database, "will", state("0000000000000003", "ready", Number.MIN_SAFE_INTEGER), NOW);
    expect(await gateway("will")).toMatchObject({ state: "ready", lastSeenAt: new Date(NOW).toISOString() });
  });

  test("who follows gets each decision once, the ones that came meanwhile in order", async () => {
    await store("follow", packed([decision(1), decision(2)]));
    const first = await decisions(database, { gateway: "follow", limit: 10 }, Date.now());
    await store("follow", packed([decision(3), decision(4), decision(5)], { lo: 3 }));
    const seen: unknown[] = [];
    for (let after = first.at(-1)?.place; after !== undefined; ) {
      const more = await decisions(database, { gateway: "follow", limit: 2, after }, Date.now());
      seen.push(...more.map(({ line }) => line["n"]));
      after = more.at(-1)?.place;
    }
    expect(seen).toEqual([3, 4, 5]);
  });

  test("lets old records go by what their stream is worth, and forgets nothing of what it had", async () => {
    await store("old", packed([decision(1), decision(2)]), packed([decision(1)], { stream: 2 }));
    const days = { decisionsDays: 10, quietDays: 5, telemetryDays: 5 };
    const tidy = new Tidy(database, days, { warn: () => undefined });
    await tidy.run(Date.now() + 7 * 86_400_000);
    const left = await database.query<{ stream: number; n: number }>(
      "SELECT stream, count(*) AS n FROM record r JOIN gateway g ON g.id = r.gateway WHERE g.name = 'old' GROUP BY stream",
    );
    expect(left).toEqual([{ stream: 1, n: 2 }]);
    expect(await gateway("old")).toMatchObject({ missing: 0 });
    await tidy.run(Date.now() + 11 * 86_400_000);
    expect(await decisions(database, { gateway: "old", limit: 10 }, Date.now())).toEqual([]);
  });
}

describe("PGlite", () => {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-asking-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  suite(() => openPglite(join(folder, "database")));
});

describeWithPostgres("PostgreSQL", () => {
  let server: OwnPostgres;
  beforeAll(async () => {
    server = await startPostgres();
  });
  afterAll(async () => await server.stop());
  suite(async () => openPostgres(server.url, undefined));

  test("who follows does not pass by what another collector has under way", async () => {
    const [one, other, reader] = [1, 2, 3].map(() => openPostgres(server.url, undefined));
    if (one === undefined || other === undefined || reader === undefined) throw new Error("no database");
    const [begun, go] = [signal(), signal()];
    const slow = one.transaction(async (query) => {
      await query.query("SELECT now()");
      begun.give();
      await go.given;
      const id = await query.query<{ id: number }>("SELECT id FROM gateway WHERE name = 'pass'");
      await query.query(
        `INSERT INTO record (gateway, epoch, stream, seq, kind, hash, body)
         VALUES ($1, '\\x00', 1, 1, 'decision', '\\x00', '{"kind":"decision","n":"slow"}')`,
        [id[0]?.id],
      );
    });
    await begun.given;
    await storeBatches(other, [incoming("pass", decodeBatch(packed([decision(1, { n: "quick" })])))]);
    const start = { receivedUs: 0, gateway: 0, epoch: "", stream: 0, seq: 0 };
    const early = await decisions(reader, { gateway: "pass", limit: 10, after: start }, Date.now());
    expect(early).toEqual([]);
    go.give();
    await slow;
    const late = await decisions(reader, { gateway: "pass", limit: 10, after: start }, Date.now());
    expect(late.map(({ line }) => line["n"])).toEqual(["slow", "quick"]);
    for (const each of [one, other, reader]) await each.close();
  });

  test("a server that dies in the middle of a transaction is an error, and another one once it is back", async () => {
    const database = openPostgres(server.url, undefined);
    const begun = signal();
    const work = database.transaction(async (query) => {
      begun.give();
      await query.query("SELECT pg_sleep(60)");
    });
    const failed = expect(work).rejects.toThrow();
    await begun.given;
    await server.kill();
    await failed;
    await server.start();
    expect(await database.query("SELECT 1 AS n")).toEqual([{ n: 1 }]);
    await database.close();
  });
});

function signal(): { readonly given: Promise<void>; readonly give: () => void } {
  let give: () => void = () => undefined;
  const given = new Promise<void>((resolve) => {
    give = resolve;
  });
  return { given, give };
}
