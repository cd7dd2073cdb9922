import { describe, expect, test } from "vitest";
import { ColdStore, type Happening } from "../../../daemon/simulate/cold-store.ts";
import { devices } from "../../../daemon/simulate/devices.ts";
import {
  type ActuatorFault,
  actuatorFaults,
  courseOf,
  createFaults,
  type FaultLevel,
} from "../../../daemon/simulate/faults.ts";
import { createRig } from "../../support/cold-store.ts";

/** A seed with which the device's first command meets this fault. */
function seedWith(device: string, fault: ActuatorFault | undefined): number {
  for (let seed = 1; seed < 2000; seed += 1) if (createFaults(seed, "many").ofCommand(device, 1) === fault) return seed;
  throw new Error(`no seed makes ${device} do this`);
}

const STOP = "cold-store/compressors/freezer-1/command";
const STATE = "cold-store/compressors/freezer-1/state";

/** The freezer's first compressor is made to run, then told to stop. */
function stopped(fault: ActuatorFault | undefined) {
  const rig = createRig({ seed: seedWith("freezer-1", fault), faults: "many", speed: 10 });
  rig.untilRunning("freezer-1");
  rig.store.command(STOP, JSON.stringify({ cmd: "stop", _id: "a" }));
  return rig;
}

describe("a simulated cold store", () => {
  test("says the same twice with the same seed, and something else with another", () => {
    const story = (seed: number): string => {
      const rig = createRig({ seed, faults: "many", speed: 20 });
      rig.store.advance(120_000);
      rig.store.command(STOP, '{"cmd":"stop","_id":"a"}');
      rig.store.advance(180_000);
      return JSON.stringify([rig.messages, rig.said]);
    };
    expect(story(3)).toBe(story(3));
    expect(story(3)).not.toBe(story(4));
  });

  test("says the same however its time is cut", () => {
    const story = (stepMs: number): string => {
      const rig = createRig({ seed: 5, faults: "some", speed: 10 });
      for (let at = stepMs; at <= 90_000; at += stepMs) rig.store.advance(at);
      return JSON.stringify([rig.messages, rig.said]);
    };
    expect(story(100)).toBe(story(4500));
  });

  test("reads each sensor once a second", () => {
    const rig = createRig({ seed: 1, faults: "none", speed: 1 });
    rig.store.advance(10_000);
    for (const topic of ["cold-store/rooms/dock/climate", STATE, "cold-store/receiver/state"])
      expect(rig.of(topic), topic).toHaveLength(10);
    expect(rig.of("cold-store/rooms/dock/climate")[0]).toEqual({
      ts: 1000,
      temperature: expect.any(Number),
      setpoint: 6,
      standbyRunning: false,
    });
  });

  test("begins with a forgotten freezer door, whatever the seed", () => {
    for (const seed of [1, 2, 3]) {
      const rig = createRig({ seed, faults: "none", speed: 10 });
      rig.store.advance(15_000);
      expect(rig.said).toContainEqual({ kind: "plant", device: "freezer door", text: "left open by a forklift" });
    }
  });

  test("brings every kind of trouble within some minutes", () => {
    const rig = createRig({ seed: 1, faults: "none", speed: 20 });
    rig.store.advance(240_000);
    const texts = new Set(rig.said.map(({ text }) => text));
    for (const text of [
      "left open by a forklift",
      "a bearing seizes",
      "leaves block the condenser",
      "warm goods come in",
      "air gets into the ammonia",
    ])
      expect([...texts]).toContain(text);
  });
});

describe("an actuator", () => {
  test("obeys within a second, and shows it by what is measured", () => {
    const rig = stopped(undefined);
    rig.later(900);
    expect(rig.last(STATE)).toMatchObject({ running: false });
    rig.later(3000);
    expect(rig.last(STATE)).toMatchObject({ running: false, current: 0 });
  });

  test("that is silent neither obeys nor speaks", () => {
    const rig = stopped("silent");
    const before = rig.of(STATE).length;
    rig.later(9000);
    expect(rig.of(STATE)).toHaveLength(before);
    rig.later(3000);
    expect(rig.of(STATE).length).toBeGreaterThan(before);
    expect(rig.said).toContainEqual({ kind: "actuator", device: "freezer-1", text: "ignores stop and falls silent" });
  });

  test("that lies says so and runs on", () => {
    const rig = stopped("lies");
    rig.later(5000);
    expect(rig.last(STATE)).toMatchObject({ running: false, current: expect.closeTo(14, 0) });
    expect(rig.store.plant.compressors["freezer-1"]?.running).toBe(true);
  });

  test("that is late obeys after any readback has given up", () => {
    const rig = stopped("late");
    const stops = (): boolean => rig.said.some(({ text }) => text === "stop, far too late");
    rig.later(14_000);
    expect(stops()).toBe(false);
    rig.later(2000);
    expect(stops()).toBe(true);
    expect(rig.last(STATE)).toMatchObject({ running: false });
  });

  test("that bounces springs back once", () => {
    const rig = stopped("bounces");
    rig.later(5000);
    const texts = rig.said.filter(({ kind }) => kind === "actuator").map(({ text }) => text);
    expect(texts).toEqual(["stop", "springs back from stop", "stop"]);
  });

  test("that rejects says why and runs on", () => {
    const rig = stopped("rejects");
    rig.later(1000);
    expect(rig.of(STATE)).toContainEqual(expect.objectContaining({ running: true, error: "local control" }));
  });

  test("has no protection against a command that comes twice, and the ledger counts it", () => {
    const rig = createRig({ seed: 1, faults: "none", speed: 10 });
    for (const id of ["a", "b", "a", undefined]) rig.store.command(STOP, JSON.stringify({ cmd: "stop", _id: id }));
    rig.later(1000);
    expect(rig.said.filter(({ kind }) => kind === "actuator")).toHaveLength(4);
    expect(rig.said).toContainEqual({ kind: "duplicate", device: "freezer-1", text: "stop, 2 times by now", id: "a" });
    expect(rig.store.received()).toEqual({
      commands: 4,
      differentIds: 2,
      withoutId: 1,
      notUnderstood: 0,
      repeated: [{ id: "a", device: "freezer-1", cmd: "stop", times: 2 }],
    });
  });

  test.each([
    [STOP, "not json"],
    [STOP, "null"],
    [STOP, '{"cmd":"explode"}'],
    [STOP, '{"cmd":"constructor"}'],
    ["cold-store/compressors/nowhere-9/command", '{"cmd":"stop"}'],
  ])("does nothing about %s %s", (topic, payload) => {
    const rig = createRig({ seed: 1, faults: "none", speed: 10 });
    rig.store.command(topic, payload);
    rig.later(1000);
    expect(rig.store.received()).toMatchObject({ commands: 0, notUnderstood: 1 });
    expect(rig.said.filter(({ kind }) => kind === "actuator")).toEqual([]);
  });

  test("of each kind shows its order in what is measured", () => {
    for (const device of devices) {
      for (const cmd of Object.keys(device.orders)) {
        const said: Happening[] = [];
        const store = new ColdStore(
          { wallMs: () => 0, publish: () => undefined, say: (one) => said.push(one) },
          { seed: 1, faults: "none", speed: 1 },
        );
        store.command(device.commandTopic, JSON.stringify({ cmd }));
        store.advance(900);
        expect(said.map(({ text }) => text)).toEqual([cmd, cmd]);
      }
    }
  });
});

describe("faults", () => {
  const shareOf = (level: FaultLevel): number => {
    const faults = createFaults(7, level);
    const all = Array.from({ length: 2000 }, (_, n) => faults.ofCommand("dock-1", n + 1));
    if (level !== "none") expect(new Set(all)).toEqual(new Set([undefined, ...actuatorFaults]));
    return all.filter((fault) => fault !== undefined).length / all.length;
  };

  test("come as often as was asked for", () => {
    expect(shareOf("none")).toBe(0);
    expect(shareOf("some")).toBeCloseTo(0.2, 1);
    expect(shareOf("many")).toBeCloseTo(0.5, 1);
  });

  test("of a command depend on seed, device and number alone", () => {
    const one = createFaults(9, "many");
    const other = createFaults(9, "many");
    for (const n of [3, 1, 2]) other.ofCommand("dock-2", n);
    for (let n = 1; n < 50; n += 1) expect(one.ofCommand("dock-1", n)).toBe(other.ofCommand("dock-1", n));
  });

  test("of sensors leave the first minute alone, and pass", () => {
    const faults = createFaults(2, "many");
    const seen = Array.from({ length: 1000 }, (_, second) => faults.ofSensor("freezer", second));
    expect(new Set(seen.slice(0, 50))).toEqual(new Set([undefined]));
    expect(new Set(seen)).toEqual(new Set([undefined, "sticks", "silent", "nan"]));
  });

  test("show at the sensor: NaN as firmware prints it, the same value again, or nothing", () => {
    const rig = createRig({ seed: 2, faults: "many", speed: 10 });
    rig.store.advance(600_000);
    const climate = rig.messages.filter(({ topic }) => topic.endsWith("/climate"));
    expect(climate.some(({ payload }) => payload.includes('"temperature":NaN'))).toBe(true);
    expect(climate.length).toBeLessThan(3 * 600);
    const texts = rig.said.filter(({ kind }) => kind === "sensor").map(({ text }) => text);
    expect(new Set(texts)).toEqual(new Set(["sticks at its last value", "falls silent", "says NaN", "works again"]));
  });

  test("are a course of steps, of which only the right one is to obey in time", () => {
    expect(courseOf(undefined, "stop", 300)).toEqual([{ afterMs: 300, what: "apply", text: "stop" }]);
    for (const fault of actuatorFaults)
      expect(courseOf(fault, "stop", 300)).not.toEqual(courseOf(undefined, "stop", 300));
  });
});
