import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { changedCompressor, changedReceiver, changedRoom } from "../../../daemon/simulate/devices.ts";
import { compressors, rooms } from "../../../daemon/simulate/layout.ts";
import { noticesOf } from "../../../daemon/simulate/notices.ts";
import { newPlant, OUTSIDE_DEG_C, type Plant, settled, step } from "../../../daemon/simulate/plant.ts";

function later(plant: Plant, seconds: number, speed = 10, each?: (before: Plant, after: Plant) => void): Plant {
  let now = plant;
  for (let tick = 0; tick < seconds * 10; tick += 1) {
    const next = step(now, 0.1, speed);
    each?.(now, next);
    now = next;
  }
  return now;
}

const degC = (plant: Plant, room: string): number => plant.rooms[room]?.degC ?? Number.NaN;

describe("a plant left alone", () => {
  test("is kept at its setpoints by its own thermostats", () => {
    const plant = later(newPlant(), 300, 1);
    for (const { room, setpoint } of rooms) expect(Math.abs(degC(plant, room) - setpoint), room).toBeLessThan(1.5);
  });

  test("warms up through an open door faster than one compressor cools, and is saved by the second", () => {
    const open = changedRoom("freezer", { doorOpens: true })(newPlant());
    const warm = later(open, 60);
    expect(degC(warm, "freezer")).toBeGreaterThan(-17);
    const helped = later(changedCompressor("freezer-2", { running: true })(warm), 60);
    expect(degC(helped, "freezer")).toBeLessThan(degC(later(warm, 60), "freezer") - 3);
    const shut = later(changedRoom("freezer", { doorOpens: false })(helped), 60);
    expect(degC(shut, "freezer")).toBeLessThan(degC(helped, "freezer") - 3);
  });

  test("freezes its evaporators over, and a defrost thaws them and warms the room", () => {
    const iced = later(newPlant(), 400, 20);
    expect(iced.rooms["freezer"]?.airflowPercent).toBeLessThan(60);
    const thawed = later(changedRoom("freezer", { defrostSeconds: 40 })(iced), 40, 20);
    expect(thawed.rooms["freezer"]?.airflowPercent).toBeGreaterThan(95);
    expect(degC(thawed, "freezer")).toBeGreaterThan(degC(iced, "freezer"));
    expect(thawed.compressors["freezer-1"]?.running).toBe(false);
  });

  test("protects itself: relay, pressure switch and relief valve trip without being asked", () => {
    const said: string[] = [];
    const broken = [
      changedCompressor("dock-1", { running: true, bearing: 1.8 }),
      changedCompressor("chiller-2", { running: true, condenser: 1.9 }),
      changedRoom("dock", { doorOpens: true, loadKw: 6 }),
      changedReceiver({ leakBarPerSecond: 0.1 }),
    ].reduce((plant, change) => change(plant), newPlant());
    const plant = later(broken, 120, 1, (before, after) => {
      for (const { device, text } of noticesOf(before, after)) said.push(`${device}: ${text}`);
    });
    expect(said.sort()).toEqual([
      "chiller-2: its pressure switch trips",
      "dock-1: its motor relay trips",
      "receiver: its relief valve lifts",
    ]);
    expect(plant.compressors["dock-1"]).toMatchObject({ running: false, locked: true });
    expect(plant.receiver.airBar).toBe(0);
  });
});

describe("whatever is done to a plant", () => {
  const doing = fc.array(
    fc.record({
      room: fc.constantFrom(...rooms.map(({ room }) => room)),
      compressor: fc.constantFrom(...compressors),
      running: fc.boolean(),
      doorOpens: fc.boolean(),
      loadKw: fc.double({ min: 0, max: 30, noNaN: true }),
      bearing: fc.constantFrom(1, 1.8),
      seconds: fc.double({ min: 0.05, max: 600, noNaN: true }),
      speed: fc.double({ min: 0.1, max: 100, noNaN: true }),
    }),
    { maxLength: 30 },
  );

  test("its numbers stay those of a cold store, also over steps of minutes", () => {
    fc.assert(
      fc.property(doing, (deeds) => {
        let plant = newPlant();
        for (const { room, compressor, running, bearing, doorOpens, loadKw, seconds, speed } of deeds) {
          plant = changedRoom(room, { doorOpens, loadKw })(plant);
          plant = step(changedCompressor(compressor, { running, bearing })(plant), seconds, speed);
          for (const { degC: air, airflowPercent, doorPercent } of Object.values(plant.rooms)) {
            expect(air).toBeGreaterThan(-150);
            expect(air).toBeLessThan(OUTSIDE_DEG_C + 30 / 0.12 + 20);
            expect(airflowPercent).toBeGreaterThanOrEqual(5);
            expect(airflowPercent).toBeLessThanOrEqual(100);
            expect(doorPercent).toBeGreaterThanOrEqual(0);
            expect(doorPercent).toBeLessThanOrEqual(100);
          }
          for (const { amperes, bar } of Object.values(plant.compressors)) {
            expect(amperes).toBeGreaterThanOrEqual(0);
            expect(amperes).toBeLessThan(30);
            expect(bar).toBeGreaterThan(6);
            expect(bar).toBeLessThan(22);
          }
        }
      }),
    );
  });

  test("what settles does so alike in one step and in many", () => {
    const value = fc.double({ min: -100, max: 100, noNaN: true });
    const time = fc.double({ min: 0.01, max: 1000, noNaN: true });
    fc.assert(
      fc.property(value, value, time, time, fc.integer({ min: 1, max: 50 }), (from, goal, seconds, constant, parts) => {
        let inParts = from;
        for (let part = 0; part < parts; part += 1) inParts = settled(inParts, goal, seconds / parts, constant);
        expect(inParts).toBeCloseTo(settled(from, goal, seconds, constant), 6);
      }),
    );
  });
});
