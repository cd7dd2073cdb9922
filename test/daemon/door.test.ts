import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Delivery } from "../../daemon/delivery.ts";
import { Door, type Doorkeeper } from "../../daemon/door.ts";

type Priority = Doorkeeper["priority"];

let made = 0;
function delivery(key: string, receivedBootMs = 0): Delivery {
  made += 1;
  return {
    source: 0,
    key,
    eventId: `${made}`,
    eventTimeMs: 0,
    receivedMs: 0,
    receivedBootMs,
    values: [],
    trace: undefined,
    settled: undefined,
    topic: undefined,
  };
}

class Keeper implements Doorkeeper {
  readonly name: string;
  readonly priority: Priority;
  readonly deadlineMs: number;
  readonly coalesces: boolean;
  readonly taken: Delivery[] = [];
  readonly refused: { delivery: Delivery; end: string; reason: string }[] = [];
  hasRoom = 0;

  constructor(name: string, priority: Priority, coalesces = false, deadlineMs = 1000) {
    this.name = name;
    this.priority = priority;
    this.coalesces = coalesces;
    this.deadlineMs = deadlineMs;
  }

  accept(one: Delivery): void {
    this.hasRoom -= 1;
    this.taken.push(one);
  }

  refuse(one: Delivery, end: "shed" | "coalesced", reason: string): void {
    this.refused.push({ delivery: one, end, reason });
  }

  room(): number {
    return this.hasRoom;
  }
}

function doorWith(limit: number, state = { nowMs: 0, isBlocked: false }): { door: Door; state: typeof state } {
  const door = new Door({
    limits: [limit, limit, limit, limit],
    nowBootMs: () => state.nowMs,
    isBlocked: () => state.isBlocked,
  });
  return { door, state };
}

describe("the door", () => {
  test("lets safety through first", () => {
    const { door } = doorWith(10);
    const keepers = ([3, 2, 1, 0] as const).map((priority) => new Keeper(`p${priority}`, priority));
    const order: string[] = [];
    for (const keeper of keepers) {
      const accept = keeper.accept.bind(keeper);
      keeper.accept = (one) => {
        order.push(keeper.name);
        accept(one);
      };
      door.offer(keeper, delivery("a"));
      keeper.hasRoom = 5;
    }
    door.pump();
    expect(order).toEqual(["p0", "p1", "p2", "p3"]);
  });

  test("keeps nobody waiting behind an agent that has no room", () => {
    const { door } = doorWith(10);
    const [hung, well] = [new Keeper("hung", 1), new Keeper("well", 1)];
    door.offer(hung, delivery("a"));
    well.hasRoom = 1;
    door.offer(well, delivery("b"));
    door.offer(well, delivery("c"));
    expect(well.taken.map((one) => one.key)).toEqual(["b"]);
    well.hasRoom = 1;
    door.pump();
    expect(well.taken.map((one) => one.key)).toEqual(["b", "c"]);
    expect([door.queuedOf(hung), door.queuedOf(well)]).toEqual([1, 0]);
  });

  test("lets agents that share their room take turns", () => {
    const { door } = doorWith(10);
    const both = { left: 0 };
    const keepers = [new Keeper("x", 1), new Keeper("y", 1)];
    for (const keeper of keepers) {
      for (const key of ["1", "2", "3"]) door.offer(keeper, delivery(key));
      keeper.room = () => both.left;
      const accept = keeper.accept.bind(keeper);
      keeper.accept = (one) => {
        both.left -= 1;
        accept(one);
      };
    }
    both.left = 4;
    door.pump();
    expect(keepers.map((keeper) => keeper.taken.length)).toEqual([2, 2]);
  });

  test("keeps only the newest of a key that waits, in the older one's place", () => {
    const { door } = doorWith(10);
    const keeper = new Keeper("a", 2, true);
    const [first, other, newest] = [delivery("k"), delivery("l"), delivery("k")];
    for (const one of [first, other, newest]) door.offer(keeper, one);
    expect(keeper.refused).toEqual([{ delivery: first, end: "coalesced", reason: "latest" }]);
    keeper.hasRoom = 5;
    door.pump();
    expect(keeper.taken).toEqual([newest, other]);
  });

  test("sheds what is too much, and what waited too long", () => {
    const { door, state } = doorWith(2);
    const keeper = new Keeper("a", 2);
    for (const key of ["a", "b", "c"]) door.offer(keeper, delivery(key));
    expect(keeper.refused.map((one) => one.reason)).toEqual(["queueFull"]);
    state.nowMs = 5000;
    door.pump();
    expect(keeper.refused.map((one) => one.reason)).toEqual(["queueFull", "deadline", "deadline"]);
    expect(door.waiting).toBe(0);
  });
});

const commands = fc.array(
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        kind: fc.constant("offer" as const),
        who: fc.nat({ max: 5 }),
        key: fc.constantFrom("a", "b", "c"),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ kind: fc.constant("room" as const), who: fc.nat({ max: 5 }), room: fc.nat({ max: 4 }) }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant("pump" as const),
        afterMs: fc.nat({ max: 900 }),
        isBlocked: fc.boolean(),
      }),
    },
  ),
  { maxLength: 150 },
);

test("offered is always taken, coalesced, shed or waiting, and nothing ends twice", () => {
  fc.assert(
    fc.property(commands, fc.integer({ min: 1, max: 4 }), (all, limit) => {
      const { door, state } = doorWith(limit);
      const keepers = [0, 1, 2, 3, 2, 2].map(
        (priority, at) => new Keeper(`k${at}`, priority as Priority, at % 2 === 0),
      );
      const offered = new Set<Delivery>();
      for (const command of all) {
        if (command.kind === "pump") {
          state.nowMs += command.afterMs;
          state.isBlocked = command.isBlocked;
          door.pump();
        } else {
          const keeper = keepers[command.who] as Keeper;
          if (command.kind === "room") keeper.hasRoom = command.room;
          else {
            const one = delivery(command.key, state.nowMs);
            offered.add(one);
            door.offer(keeper, one);
          }
        }
        const ended = keepers.flatMap((keeper) => [
          ...keeper.taken,
          ...keeper.refused.map((refusal) => refusal.delivery),
        ]);
        expect(new Set(ended).size).toBe(ended.length);
        expect(ended.length + door.waiting).toBe(offered.size);
        expect(keepers.reduce((sum, keeper) => sum + door.queuedOf(keeper), 0)).toBe(door.waiting);
        expect(door.waiting).toBeLessThanOrEqual(limit * 4);
      }
    }),
    { numRuns: 300 },
  );
});
