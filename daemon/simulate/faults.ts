import { createDice } from "./dice.ts";

export const faultLevels = ["none", "some", "many"] as const;
export type FaultLevel = (typeof faultLevels)[number];

/**
 * How an actuator fails a command: it does nothing and says nothing for a while; obeys too late; says it obeyed and did
 * not; obeys, springs back and obeys again; refuses.
 */
export const actuatorFaults = ["silent", "late", "lies", "bounces", "rejects"] as const;
export type ActuatorFault = (typeof actuatorFaults)[number];

/** How a sensor fails: its last value stays; it says nothing; it says NaN. */
export const sensorFaults = ["sticks", "silent", "nan"] as const;
export type SensorFault = (typeof sensorFaults)[number];

const OF_COMMANDS: Readonly<Record<FaultLevel, number>> = { none: 0, some: 0.2, many: 0.5 };
const OF_PERIODS: Readonly<Record<FaultLevel, number>> = { none: 0, some: 0.15, many: 0.5 };
const PERIOD_SECONDS = 50;
const FAULT_SECONDS = 25;

export interface Faults {
  /** What goes wrong with a device's n-th command, from 1: the same whenever it comes. */
  ofCommand(device: string, n: number): ActuatorFault | undefined;
  /** What is wrong with a sensor so many seconds after the start. */
  ofSensor(sensor: string, seconds: number): SensorFault | undefined;
}

export function createFaults(seed: number, level: FaultLevel): Faults {
  return {
    ofCommand(device, n) {
      const dice = createDice(seed, `command ${device} ${n}`);
      return dice.next() < OF_COMMANDS[level] ? dice.pick(actuatorFaults) : undefined;
    },
    ofSensor(sensor, seconds) {
      const period = Math.floor(seconds / PERIOD_SECONDS);
      // The first period is for whoever looks at it for the first time.
      if (period === 0 || seconds % PERIOD_SECONDS >= FAULT_SECONDS) return undefined;
      const dice = createDice(seed, `sensor ${sensor} ${period}`);
      return dice.next() < OF_PERIODS[level] ? dice.pick(sensorFaults) : undefined;
    },
  };
}

/** One step of what an actuator does about a command. */
export interface CourseStep {
  readonly afterMs: number;
  /** `claim`: says that it obeyed. `mute`: says nothing for a while. `reject`: says no. */
  readonly what: "apply" | "undo" | "claim" | "reject" | "mute";
  readonly text: string;
}

/** Later than any readback of the example waits. */
const LATE_MS = 15_000;
const BOUNCE_MS = 1500;

/** What an actuator does about a command, and when: what it should after its delay, or what its fault makes of it. */
export function courseOf(fault: ActuatorFault | undefined, cmd: string, delayMs: number): CourseStep[] {
  switch (fault) {
    case "silent":
      return [{ afterMs: 0, what: "mute", text: `ignores ${cmd} and falls silent` }];
    case "late":
      return [{ afterMs: LATE_MS, what: "apply", text: `${cmd}, far too late` }];
    case "lies":
      return [{ afterMs: delayMs, what: "claim", text: `claims ${cmd}, and lies` }];
    case "rejects":
      return [{ afterMs: delayMs, what: "reject", text: `rejects ${cmd}` }];
    case "bounces":
      return [
        { afterMs: delayMs, what: "apply", text: cmd },
        { afterMs: delayMs + BOUNCE_MS, what: "undo", text: `springs back from ${cmd}` },
        { afterMs: delayMs + 2 * BOUNCE_MS, what: "apply", text: cmd },
      ];
    default:
      return [{ afterMs: delayMs, what: "apply", text: cmd }];
  }
}
