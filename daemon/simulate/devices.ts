import type { Dice } from "./dice.ts";
import { compressors, layoutOf, rooms } from "./layout.ts";
import {
  ALARM_SECONDS,
  type Compressor,
  DEFROST_SECONDS,
  type Plant,
  PURGE_SECONDS,
  type Receiver,
  type Room,
} from "./plant.ts";

export type Body = Readonly<Record<string, number | boolean | string>>;
type Change = (plant: Plant) => Plant;

/** What one command does to the plant, how that is undone, and what the device then says of itself. */
export interface Order {
  readonly apply: Change;
  readonly undo: Change;
  readonly claim: Body;
}

/** Something that takes commands and tells its state. */
export interface Device {
  readonly name: string;
  readonly stateTopic: string;
  readonly commandTopic: string;
  readonly orders: Readonly<Record<string, Order>>;
  /** What it says of itself, and beside it what is measured: the first may be a lie, the second is the plant. */
  state(plant: Plant, dice: Dice): Body;
}

export interface TemperatureSensor {
  readonly room: string;
  readonly topic: string;
  reading(plant: Plant, dice: Dice): Body;
}

const PREFIX = "cold-store";
export const commandFilters = [
  `${PREFIX}/rooms/+/+/command`,
  `${PREFIX}/compressors/+/command`,
  `${PREFIX}/receiver/command`,
];

export const temperatureSensors: readonly TemperatureSensor[] = rooms.map(({ room, setpoint }) => ({
  room,
  topic: `${PREFIX}/rooms/${room}/climate`,
  reading: (plant, dice) => ({
    temperature: tenths(roomOf(plant, room).degC + dice.noise(0.15), 100),
    setpoint,
    standbyRunning: compressorOf(plant, `${room}-2`).running,
  }),
}));

export const devices: readonly Device[] = [
  ...rooms.flatMap(({ room }) => [door(room), alarm(room), evaporator(room)]),
  ...compressors.map(compressor),
  receiver(),
];

function device(name: string, path: string, orders: Device["orders"], state: Device["state"]): Device {
  return {
    name,
    stateTopic: `${PREFIX}/${path}/state`,
    commandTopic: `${PREFIX}/${path}/command`,
    orders,
    state,
  };
}

function compressor(name: string): Device {
  const set = (running: boolean, locked: boolean): Change => changedCompressor(name, { running, locked });
  const orders = {
    start: { apply: set(true, false), undo: set(false, true), claim: { running: true } },
    stop: { apply: set(false, true), undo: set(true, false), claim: { running: false } },
  };
  const rated = layoutOf(name).nominalAmperes;
  return device(name, `compressors/${name}`, orders, (plant, dice) => {
    const { running, amperes, bar } = compressorOf(plant, name);
    const current = tenths(Math.max(0, amperes + dice.noise(amperes * 0.03)));
    return { running, current, rated, pressure: tenths(bar + dice.noise(0.1), 100) };
  });
}

function door(room: string): Device {
  const set = (doorOpens: boolean): Change => changedRoom(room, { doorOpens });
  const orders = { close: { apply: set(false), undo: set(true), claim: { open: false } } };
  return device(`${room} door`, `rooms/${room}/door`, orders, (plant) => {
    const { doorPercent } = roomOf(plant, room);
    return { open: doorPercent > 2, position: Math.round(doorPercent) };
  });
}

function alarm(room: string): Device {
  const set = (alarmSeconds: number): Change => changedRoom(room, { alarmSeconds });
  const orders = { sound: { apply: set(ALARM_SECONDS), undo: set(0), claim: { sounding: true } } };
  return device(`${room} alarm`, `rooms/${room}/alarm`, orders, (plant, dice) => {
    const sounding = roomOf(plant, room).alarmSeconds > 0;
    return { sounding, level: Math.round((sounding ? 96 : 52) + dice.noise(2)) };
  });
}

function evaporator(room: string): Device {
  const set = (defrostSeconds: number): Change => changedRoom(room, { defrostSeconds });
  const begins: Change = (plant) => changedCompressor(`${room}-2`, { running: false })(set(DEFROST_SECONDS)(plant));
  const orders = { defrost: { apply: begins, undo: set(0), claim: { defrosting: true } } };
  return device(`${room} evaporator`, `rooms/${room}/evaporator`, orders, (plant, dice) => {
    const { defrostSeconds, airflowPercent } = roomOf(plant, room);
    const defrosting = defrostSeconds > 0;
    const airflow = tenths(Math.min(100, airflowPercent + dice.noise(0.5)));
    return { defrosting, airflow, heater: defrosting ? tenths(8.5 + dice.noise(0.2)) : 0 };
  });
}

function receiver(): Device {
  const set = (purgeSeconds: number): Change => changedReceiver({ purgeSeconds });
  const orders = { purge: { apply: set(PURGE_SECONDS), undo: set(0), claim: { purging: true } } };
  return device("receiver", "receiver", orders, ({ receiver: now }, dice) => {
    const purging = now.purgeSeconds > 0;
    return {
      purging,
      pressure: tenths(now.bar + dice.noise(0.1), 100),
      flow: purging ? tenths(4 + dice.noise(0.3)) : 0,
    };
  });
}

export function roomOf(plant: Plant, room: string): Room {
  return plant.rooms[layoutOf(room).room] as Room;
}

export function compressorOf(plant: Plant, name: string): Compressor {
  return plant.compressors[name] as Compressor;
}

export function changedRoom(room: string, to: Partial<Room>): Change {
  return (plant) => ({ ...plant, rooms: { ...plant.rooms, [room]: { ...roomOf(plant, room), ...to } } });
}

export function changedCompressor(name: string, to: Partial<Compressor>): Change {
  return (plant) => ({
    ...plant,
    compressors: { ...plant.compressors, [name]: { ...compressorOf(plant, name), ...to } },
  });
}

export function changedReceiver(to: Partial<Receiver>): Change {
  return (plant) => ({ ...plant, receiver: { ...plant.receiver, ...to } });
}

/** As many digits as the instrument has. */
function tenths(value: number, parts = 10): number {
  return Math.round(value * parts) / parts;
}
