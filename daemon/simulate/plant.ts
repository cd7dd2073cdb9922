import { isFirst, layoutOf, type RoomLayout, rooms } from "./layout.ts";

export interface Compressor {
  readonly running: boolean;
  /** A command or a safety relay stopped it: the thermostat leaves it alone. */
  readonly locked: boolean;
  readonly amperes: number;
  /** Pressure of the ammonia behind it. */
  readonly bar: number;
  /** Current and pressure as multiples of what is normal: a worn bearing, a blocked condenser. */
  readonly bearing: number;
  readonly condenser: number;
  readonly overloadedSeconds: number;
  readonly stoodSeconds: number;
}

export interface Room {
  readonly degC: number;
  /** Where the door goes; `doorPercent` is where it is. */
  readonly doorOpens: boolean;
  readonly doorPercent: number;
  readonly airflowPercent: number;
  readonly defrostSeconds: number;
  /** Heat of goods that came in warm. */
  readonly loadKw: number;
  readonly alarmSeconds: number;
}

export interface Receiver {
  readonly bar: number;
  /** What air in the ammonia adds to the pressure, and how fast more gets in. */
  readonly airBar: number;
  readonly leakBarPerSecond: number;
  readonly purgeSeconds: number;
}

/** The truth about the plant, whatever sensors and actuators say of it. */
export interface Plant {
  readonly rooms: Readonly<Record<string, Room>>;
  readonly compressors: Readonly<Record<string, Compressor>>;
  readonly receiver: Receiver;
}

export const OUTSIDE_DEG_C = 18;
export const PURGE_SECONDS = 20;
export const DEFROST_SECONDS = 40;
export const ALARM_SECONDS = 20;
export const RELIEF_BAR = 18;
const SWITCH_BAR = 19;
const RELAY_SHARE = 1.3;
const RELAY_SECONDS = 45;

const WALLS_KW_PER_KELVIN = 0.12;
const DOOR_KW_PER_KELVIN = 0.35;
const AIR_KJ_PER_KELVIN = 450;
const DEFROST_KW = 2;
const THERMOSTAT_KELVIN = 0.8;
const DOOR_PERCENT_PER_SECOND = 25;
const FROST_PERCENT_PER_SECOND = 0.008;
const FROST_BY_DOOR = 2;

export function newPlant(): Plant {
  return {
    rooms: Object.fromEntries(rooms.map((layout) => [layout.room, newRoom(layout)])),
    compressors: Object.fromEntries(
      rooms.flatMap(({ room }) => [
        [`${room}-1`, newCompressor()],
        [`${room}-2`, newCompressor()],
      ]),
    ),
    receiver: { bar: 10, airBar: 0, leakBarPerSecond: 0, purgeSeconds: 0 },
  };
}

function newRoom({ setpoint, airflowAtStart }: RoomLayout): Room {
  return {
    degC: setpoint,
    doorOpens: false,
    doorPercent: 0,
    airflowPercent: airflowAtStart,
    defrostSeconds: 0,
    loadKw: 0,
    alarmSeconds: 0,
  };
}

function newCompressor(): Compressor {
  return {
    running: false,
    locked: false,
    amperes: 0,
    bar: 7,
    bearing: 1,
    condenser: 1,
    overloadedSeconds: 0,
    stoodSeconds: 0,
  };
}

/** The plant a little later. Heat and frost go `speed` times as fast as doors, motors and pressures. */
export function step(plant: Plant, seconds: number, speed: number): Plant {
  const controlled = thermostats(plant);
  return {
    rooms: mapped(controlled.rooms, (room, name) => roomLater(room, name, controlled, seconds, seconds * speed)),
    compressors: mapped(controlled.compressors, (one, name) => compressorLater(one, name, seconds)),
    receiver: receiverLater(controlled.receiver, seconds),
  };
}

/** What the plant does by itself, without any gateway: keep the setpoint with the first compressor of each room. */
function thermostats(plant: Plant): Plant {
  const compressors = mapped(plant.compressors, (compressor, name) => {
    if (!isFirst(name) || compressor.locked) return compressor;
    const { room, setpoint } = layoutOf(name);
    const { degC, defrostSeconds } = plant.rooms[room] as Room;
    if (defrostSeconds > 0 || degC < setpoint - THERMOSTAT_KELVIN) return { ...compressor, running: false };
    return degC > setpoint + THERMOSTAT_KELVIN ? { ...compressor, running: true } : compressor;
  });
  return { ...plant, compressors };
}

function roomLater(room: Room, name: string, plant: Plant, seconds: number, heatSeconds: number): Room {
  const { coolingKw } = layoutOf(name);
  const running = [`${name}-1`, `${name}-2`].filter((one) => plant.compressors[one]?.running === true).length;
  const isDefrosting = room.defrostSeconds > 0;
  const coldKw = running * coolingKw * (0.3 + (0.7 * room.airflowPercent) / 100);
  const gain = WALLS_KW_PER_KELVIN + (DOOR_KW_PER_KELVIN * room.doorPercent) / 100;
  const power = room.loadKw - coldKw + (isDefrosting ? DEFROST_KW : 0);
  const frost = running * FROST_PERCENT_PER_SECOND * (room.doorPercent > 2 ? FROST_BY_DOOR : 1) * heatSeconds;
  const thaw = isDefrosting ? (100 / DEFROST_SECONDS) * seconds : 0;
  const doorStep = DOOR_PERCENT_PER_SECOND * seconds * (room.doorOpens ? 1 : -1);
  return {
    ...room,
    degC: settled(room.degC, OUTSIDE_DEG_C + power / gain, heatSeconds, AIR_KJ_PER_KELVIN / gain),
    doorPercent: clamped(room.doorPercent + doorStep, 0, 100),
    airflowPercent: clamped(room.airflowPercent - frost + thaw, 5, 100),
    defrostSeconds: Math.max(0, room.defrostSeconds - seconds),
    loadKw: settled(room.loadKw, 0, heatSeconds, 300),
    alarmSeconds: Math.max(0, room.alarmSeconds - seconds),
  };
}

/** The relay of the motor and the pressure switch are of iron: they trip without being asked. */
function compressorLater(compressor: Compressor, name: string, seconds: number): Compressor {
  const { running, bearing, condenser } = compressor;
  const { nominalAmperes } = layoutOf(name);
  const amperes = settled(compressor.amperes, running ? nominalAmperes * bearing : 0, seconds, 0.4);
  const bar = settled(compressor.bar, running ? 11 * condenser : 7, seconds, 15);
  const isOverloaded = running && amperes > nominalAmperes * RELAY_SHARE;
  const overloadedSeconds = isOverloaded ? compressor.overloadedSeconds + seconds : 0;
  const trips = overloadedSeconds > RELAY_SECONDS || bar > SWITCH_BAR;
  return {
    ...compressor,
    amperes,
    bar,
    overloadedSeconds,
    running: running && !trips,
    locked: compressor.locked || (running && trips),
    stoodSeconds: running ? 0 : compressor.stoodSeconds + seconds,
  };
}

function receiverLater(receiver: Receiver, seconds: number): Receiver {
  const { leakBarPerSecond, purgeSeconds } = receiver;
  const lifts = receiver.bar > RELIEF_BAR;
  const purged = purgeSeconds > 0 ? seconds / 2 : 0;
  const airBar = lifts ? 0 : Math.max(0, receiver.airBar + leakBarPerSecond * seconds - purged);
  return {
    bar: settled(receiver.bar, 10 + airBar, seconds, 2),
    airBar,
    leakBarPerSecond: lifts || purgeSeconds > 0 ? 0 : leakBarPerSecond,
    purgeSeconds: Math.max(0, purgeSeconds - seconds),
  };
}

/** What approaches a goal exponentially: exact for steps of any length, so that a slow machine changes nothing. */
export function settled(value: number, goal: number, seconds: number, timeConstant: number): number {
  return goal + (value - goal) * Math.exp(-seconds / timeConstant);
}

function clamped(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value));
}

function mapped<T>(all: Readonly<Record<string, T>>, change: (one: T, name: string) => T): Record<string, T> {
  return Object.fromEntries(Object.entries(all).map(([name, one]) => [name, change(one, name)]));
}
