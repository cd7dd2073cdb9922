import { describe, expect, test } from "vitest";
import { createIds } from "../../../daemon/ids.ts";
import type { Store } from "../../../daemon/store/store.ts";
import { ActionTable, actionPage, actionsOfDecisions } from "../../../daemon/store/tables/action.ts";
import { decision, inside, openTestStore } from "./support.ts";

const newId = createIds();

interface Made {
  readonly id: string;
  readonly decision: string;
}

function propose(store: Store, state: string | undefined, wallMs = Date.now()): Made {
  const made = decision("pump", wallMs);
  const id = newId(wallMs);
  const kind = state === undefined ? "intent" : "proposal";
  const body = JSON.stringify({ v: 1, kind, id, decision: made.id, ...(state === undefined ? {} : { state }) });
  store.appendTogether([
    { stream: 1, kind: "decision", agent: 1, id: made.id, wallMs, body: made.body },
    { stream: 1, kind, agent: 1, id, wallMs, body },
  ]);
  return { id, decision: made.id };
}

function put(store: Store, kind: "outcome" | "intent" | "approval", more: Record<string, unknown>): void {
  const wallMs = Date.now();
  const id = newId(wallMs);
  store.append({ stream: 1, kind, agent: 1, id, wallMs, body: JSON.stringify({ v: 1, kind, id, ...more }) });
}

describe("where actions stand", () => {
  test("is known after a restart from the records alone, and can be made from them again", async () => {
    const { store, directory } = await openTestStore();
    store.agentNumber("pump");
    const done = propose(store, undefined);
    put(store, "outcome", { intent: done.id, state: "sent" });
    put(store, "outcome", { intent: done.id, state: "verified", final: true });
    const open = propose(store, undefined);
    put(store, "outcome", { intent: open.id, state: "sent" });
    propose(store, "denied");
    const waits = propose(store, "awaitingApproval");
    put(store, "approval", { proposal: waits.id, decision: "approved", by: "maria" });
    const approved = propose(store, "awaitingApproval");
    put(store, "intent", { proposal: approved.id });
    await store.flush();
    await store.stop();
    const look = (db: Parameters<Parameters<typeof inside>[1]>[0]): unknown =>
      db.prepare("SELECT * FROM action ORDER BY id").all();
    const before = inside(directory, look);
    const rebuilt = inside(
      directory,
      (db) => {
        db.exec("UPDATE action SET n = 0; DELETE FROM action WHERE open = 1");
        new ActionTable(db as never).rebuild();
        return look(db);
      },
      false,
    );
    expect(rebuilt).toEqual(before);
    const { store: again } = await openTestStore(directory);
    const { open: left, known } = await again.restoreActions([done.id, newId(Date.now())]);
    expect(known).toEqual([done.id]);
    const ids = left.map(({ first }) => (JSON.parse(first) as { id: string }).id);
    expect(ids).toEqual([open.id, waits.id, approved.id].sort());
    expect(left.find(({ first }) => first.includes(waits.id))?.approvals).toHaveLength(1);
    expect(left.find(({ first }) => first.includes(approved.id))?.intent).toContain(approved.id);
  });

  test("is found by the decision behind it, and in the order in which it was proposed", async () => {
    const { store, directory } = await openTestStore();
    store.agentNumber("pump");
    const all: Made[] = [];
    for (let n = 0; n < 30; n++)
      all.push(propose(store, n % 3 === 0 ? "denied" : undefined, 1_800_000_000_000 + n * 1000));
    await store.flush();
    const wanted = all.slice(10, 20).map((one) => one.decision);
    const found = inside(directory, (db) => actionsOfDecisions(db as never, wanted));
    const idOf = ({ first }: { first: string }): string => (JSON.parse(first) as { id: string }).id;
    expect(found.map(idOf)).toEqual(all.slice(10, 20).map((one) => one.id));
    const page = inside(directory, (db) =>
      actionPage(db as never, { after: all[4]?.id, limit: 3, newestFirst: false }),
    );
    expect(page.map(idOf)).toEqual(all.slice(5, 8).map((one) => one.id));
  });

  test("is written with the decision in one transaction, however full the batch is", async () => {
    const { store, directory } = await openTestStore();
    store.agentNumber("pump");
    for (let n = 0; n < 511; n++) {
      const { id, body } = decision("pump", Date.now());
      store.append({ stream: 1, kind: "decision", agent: 1, id, wallMs: Date.now(), body });
    }
    store.pretendFull(true);
    const made = propose(store, undefined);
    await new Promise((resolve) => setTimeout(resolve, 50));
    const ids = inside(directory, (db) =>
      db.prepare("SELECT lower(hex(id)) FROM record WHERE kind IN (1, 2)").pluck().all(),
    );
    expect(ids).not.toContain(made.decision.replaceAll("-", ""));
    store.pretendFull(false);
    await store.flush();
    const found = inside(directory, (db) => actionsOfDecisions(db as never, [made.decision]));
    expect(found).toHaveLength(1);
  });

  test("is forgotten with its records, though it never came to an end", async () => {
    const { store, directory } = await openTestStore();
    store.agentNumber("pump");
    for (let n = 0; n < 300; n++) propose(store, undefined, 1_800_000_000_000 + n);
    const kept = propose(store, "awaitingApproval", 1_800_000_001_000);
    await store.flush();
    await store.stop();
    const left = inside(
      directory,
      (db) => {
        db.exec("DELETE FROM record WHERE kind = 2");
        const table = new ActionTable(db as never);
        for (let minute = 0; minute < 2; minute++) table.prune();
        return db.prepare("SELECT lower(hex(id)) FROM action").pluck().all();
      },
      false,
    );
    expect(left).toEqual([kept.id.replaceAll("-", "")]);
  });
});
