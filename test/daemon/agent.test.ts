import { expect, test } from "vitest";
import { Agent, type AgentDeps, type AgentSpec, type Questions } from "../../daemon/agent.ts";
import { Dedupe } from "../../daemon/dedupe.ts";
import type { Delivery, Settled } from "../../daemon/delivery.ts";
import { Ledger } from "../../daemon/ledger.ts";
import type { Pass } from "../../daemon/pass.ts";
import { Watch } from "../../daemon/watch.ts";

/** An agent whose answers come when the test says so, and what reached the log in which order. */
function agentWithSlowModel(opensOnEvent = true, questions?: Questions) {
  const log: string[] = [];
  const waiting: Pass[] = [];
  const counted: string[] = [];
  const news: string[] = [];
  const deps = {
    clock: { wallMs: () => 0, bootMs: () => 0 },
    readings: {
      insert: () => "accepted",
      row: () => ({ ok: true, values: [1], fields: [1], coverage: 1, count: 1, endMs: 0 }),
      keysWithNews: () => news.splice(0),
      keys: 1,
    },
    seen: new Dedupe(100),
    answers: { submit: (pass: Pass) => void waiting.push(pass) },
    journal: {
      reading: (_: string, delivery: Delivery) => log.push(`reading ${delivery.eventId}`),
      seen: (id: string) => log.push(`seen ${id}`),
      onDurable: (settled: Settled) => {
        log.push("sender waits");
        settled.release();
      },
    },
    recorder: { decide: (pass: Pass) => log.push(`decision ${pass.eventId}`), heard: () => undefined },
    watch: new Watch(),
    room: () => 2 - waiting.length,
    questions,
    onRoom: () => undefined,
  };
  const spec = { name: "a", opensOnEvent, journaled: true, deadlineMs: 1000, fields: [], model: {} };
  const ledger = new Ledger("a", { count: (_, counter) => void counted.push(counter) });
  const agent = new Agent(spec as unknown as AgentSpec, ledger, deps as unknown as AgentDeps);
  return { agent, ledger, log, waiting, counted, news };
}

function delivery(eventId: string, settled?: Settled): Delivery {
  return { source: 0, key: "k", eventId, values: [1], settled } as unknown as Delivery;
}

const answer = { ok: true, answer: {}, batch: 1, queueUs: 0, inferUs: 0 } as const;

test("an event's reading, its id and its count go to the log with its decision, and not before", () => {
  const { agent, ledger, log, waiting, counted } = agentWithSlowModel();
  ledger.delivered();
  agent.accept(delivery("m1"));
  expect(log).toEqual([]);
  expect(counted).toEqual([]);
  expect(ledger.deliveries()).toMatchObject({ total: 1, accepted: 1 });
  waiting[0]?.settle(answer);
  expect(log).toEqual(["reading m1", "seen m1", "decision m1"]);
  expect(counted).toEqual(["accepted"]);
});

test("a message that comes again while its pass is under way is acknowledged with the pass's decision", () => {
  const { agent, log, waiting } = agentWithSlowModel();
  const released: string[] = [];
  const sender = (name: string): Settled => ({ release: () => void released.push(name) });
  agent.accept(delivery("m1", sender("first")));
  agent.accept(delivery("m1", sender("again")));
  agent.accept(delivery("m1", sender("and again")));
  expect(waiting).toHaveLength(1);
  expect(released).toEqual([]);
  waiting[0]?.settle(answer);
  expect(log.slice(0, 3)).toEqual(["reading m1", "seen m1", "decision m1"]);
  expect(released).toEqual(["first", "again", "and again"]);
  agent.accept(delivery("m1", sender("late")));
  expect(released).toContain("late");
  expect(waiting).toHaveLength(1);
});

test("where passes open by time, a reading goes to the log when it is accepted", () => {
  const { agent, log } = agentWithSlowModel(false);
  agent.accept(delivery("m1"));
  expect(log).toEqual(["reading m1", "seen m1"]);
});

test("passes that time opens wait for room rather than being too many at once", async () => {
  const { agent, ledger, waiting, news } = agentWithSlowModel(false);
  news.push("a", "b", "c", "d", "e");
  agent.tick();
  expect(waiting.map((pass) => pass.key)).toEqual(["a", "b"]);
  for (const pass of waiting.splice(0)) pass.settle(answer);
  await new Promise((resolve) => setImmediate(resolve));
  expect(waiting.map((pass) => pass.key)).toEqual(["c", "d"]);
  expect(ledger.passes()).toEqual({ opened: 4, decided: 0, inFlight: 2 });
  news.push("c");
  agent.tick();
  for (const pass of waiting.splice(0)) pass.settle(answer);
  await new Promise((resolve) => setImmediate(resolve));
  expect(waiting.map((pass) => pass.key)).toEqual(["e", "c"]);
});

test("an agent that asks does so before its model runs, and decides when the questions let the pass go", () => {
  const order: string[] = [];
  const held: (() => void)[] = [];
  const questions: Questions = {
    onReady: () => undefined,
    ask: (pass) => void order.push(`asks for ${pass.eventId}, ${waiting.length} at the model`),
    settled: (pass, result) => void held.push(() => questions.onReady(pass, result)),
  };
  const { agent, ledger, log, waiting } = agentWithSlowModel(true, questions);
  questions.onReady = (pass, result) => agent.settled(pass, result);
  agent.accept(delivery("m1"));
  expect(order).toEqual(["asks for m1, 0 at the model"]);
  waiting[0]?.settle(answer);
  expect(log).toEqual([]);
  expect(ledger.passes()).toMatchObject({ opened: 1, inFlight: 1 });
  held[0]?.();
  expect(log).toEqual(["reading m1", "seen m1", "decision m1"]);
  expect(ledger.passes()).toMatchObject({ opened: 1, inFlight: 0 });
});
