import { expect, test } from "vitest";
import { childPath } from "../../daemon/children.ts";
import { uplinkLog } from "../../daemon/fleet/uplink-log.ts";
import { Reader } from "../../daemon/store/reader.ts";
import { decodeBatch } from "../../sync/batch.ts";
import { gatewayTopics } from "../../sync/topics.ts";
import { Uplink } from "../../sync/uplink.ts";
import { until } from "../support/bus.ts";
import { openTestStore, put } from "./store/support.ts";

const SESSION = "0000000000000001";
const topics = gatewayTopics("north", "plant-7");

test("a fleet that lost what it had gets it again from an earlier start of which it had everything", async () => {
  const first = await openTestStore();
  put(first.store, 10);
  await first.store.flush();
  const { id: epoch, ordinal } = first.store.epoch();
  const position = { kind: "acknowledged", epoch: ordinal, stream: 1, contiguous: 10, ranges: "[]" } as const;
  first.store.project(position);
  await first.store.flush();
  await first.store.stop();

  const { store, directory, clock } = await openTestStore(first.directory);
  const reader = new Reader({ directory, readerPath: childPath("daemon/store/reader-thread") });
  const log = uplinkLog({ store, reader, clock, newId: (wallMs) => String(wallMs) });
  const sent: { seq: number }[] = [];
  const uplink = new Uplink(
    {
      ...{ log, topics, keys: new Map(), random: () => 0.5, heardTime: () => undefined },
      line: {
        publish: async ({ topic, payload }) => {
          if (topic === topics.hello) {
            const welcome = { kind: "welcome", session: SESSION, protocol: 1, positions: [] };
            say(welcome);
          } else {
            const { header, lines } = decodeBatch(payload as Uint8Array);
            if (header.epoch === epoch && header.stream === 1) sent.push(...lines);
          }
          return 0;
        },
        limits: () => ({ packetBytes: 262_144, underWay: 8 }),
        proven: () => undefined,
      },
      clock: {
        bootMs: () => performance.now(),
        lifeMs: () => performance.now(),
        read: () => ({ bootId: "b", bootMs: 1, wallMs: 1, trust: "synced" }),
      },
    },
    { fleet: "north", gateway: "plant-7", software: "0", ackMode: "collector", budget: {} },
  );
  const say = (message: object): void =>
    uplink.heard(
      Buffer.from(JSON.stringify({ v: 1, fleet: "north", gateway: "plant-7", now: Date.now(), ...message })),
    );
  try {
    await uplink.start();
    expect(uplink.positions().some((one) => one.epoch === epoch && one.stream === 1)).toBe(false);
    uplink.up(SESSION);
    await until("the welcome", () => uplink.state().condition === "sending");
    say({ kind: "backfill", session: SESSION, epoch, stream: 1, ranges: [[3, 5]] });
    await until("the records", () => sent.length >= 3);
    expect(sent.map(({ seq }) => seq)).toEqual([3, 4, 5]);
  } finally {
    await uplink.stop();
    await reader.stop();
  }
});
