import { changedCompressor, changedReceiver, changedRoom, compressorOf, roomOf } from "./devices.ts";
import { createDice, type Dice } from "./dice.ts";
import { compressors, isFirst, rooms } from "./layout.ts";
import type { Plant } from "./plant.ts";

/** What happened to the plant, or undefined when nothing did. */
export interface Turn {
  readonly plant: Plant;
  readonly device: string;
  readonly text: string;
}

const troubles = ["forgotten door", "worn bearing", "warm goods", "blocked condenser", "air in the ammonia"] as const;
type Trouble = (typeof troubles)[number];

/** In seconds of heat, as the next: at ten times the pace a trouble comes every half minute or so. */
const FIRST_SECONDS = 150;
const BETWEEN_SECONDS = [240, 420] as const;
const LEAST_BETWEEN_SECONDS = 2;
const DOOR_FREE_SECONDS = [15, 40] as const;
const DOOR_USED_SECONDS = [4, 8] as const;
const FORGOTTEN_SECONDS = 120;
const REPAIR_SECONDS = 30;

/** The life of a cold store: forklifts, warm goods, wear. The same seed brings the same, as long as the plant allows. */
export class Troubles {
  readonly #dice: Dice;
  readonly #doors: Dice;
  readonly #speed: number;
  /** The first story is always the same: it is the one that the walk-through tells. */
  #isFirst = true;
  #bag: Trouble[] = [];
  #dueAt: number;
  /** When each door is used next, or let go. */
  readonly #doorAt = new Map<string, number>();

  constructor(seed: number, speed: number) {
    this.#dice = createDice(seed, "troubles");
    this.#doors = createDice(seed, "doors");
    this.#speed = speed;
    this.#dueAt = FIRST_SECONDS / speed;
    for (const { room } of rooms) this.#doorAt.set(room, this.#doors.between(...DOOR_FREE_SECONDS));
  }

  /** Everything that happens at this second, one after the other. */
  at(seconds: number, plant: Plant): Turn[] {
    const turns: Turn[] = [];
    let now = plant;
    const add = (turn: Turn | undefined): void => {
      if (turn === undefined) return;
      now = turn.plant;
      turns.push(turn);
    };
    for (const { room } of rooms) add(this.#forklift(room, seconds, now));
    for (const name of compressors) add(repair(name, now));
    if (seconds >= this.#dueAt) {
      const wait = this.#dice.between(...BETWEEN_SECONDS) / this.#speed;
      this.#dueAt = seconds + Math.max(LEAST_BETWEEN_SECONDS, wait);
      add(this.#trouble(seconds, now));
    }
    return turns;
  }

  #forklift(room: string, seconds: number, plant: Plant): Turn | undefined {
    if (seconds < (this.#doorAt.get(room) ?? 0)) return undefined;
    const { doorOpens } = roomOf(plant, room);
    const [low, high] = doorOpens ? DOOR_FREE_SECONDS : DOOR_USED_SECONDS;
    this.#doorAt.set(room, seconds + this.#doors.between(low, high));
    const text = doorOpens ? "shut behind a forklift" : "opened by a forklift";
    return { plant: changedRoom(room, { doorOpens: !doorOpens })(plant), device: `${room} door`, text };
  }

  #trouble(seconds: number, plant: Plant): Turn | undefined {
    if (this.#bag.length === 0) this.#bag = shuffled(troubles, this.#dice);
    const trouble = this.#isFirst ? "forgotten door" : this.#bag.pop();
    const room = this.#isFirst ? "freezer" : this.#dice.pick(rooms).room;
    this.#isFirst = false;
    const running = compressors.filter((name) => compressorOf(plant, name).running);
    const name = running[Math.floor(this.#dice.next() * running.length)] ?? `${room}-1`;
    switch (trouble) {
      case "forgotten door":
        this.#doorAt.set(room, seconds + FORGOTTEN_SECONDS);
        return {
          plant: changedRoom(room, { doorOpens: true })(plant),
          device: `${room} door`,
          text: "left open by a forklift",
        };
      case "worn bearing":
        return { plant: changedCompressor(name, { bearing: 1.8 })(plant), device: name, text: "a bearing seizes" };
      case "blocked condenser":
        return {
          plant: changedCompressor(name, { condenser: 1.9 })(plant),
          device: name,
          text: "leaves block the condenser",
        };
      case "warm goods": {
        const loadKw = roomOf(plant, room).loadKw + 6;
        return { plant: changedRoom(room, { loadKw })(plant), device: room, text: "warm goods come in" };
      }
      default:
        return {
          plant: changedReceiver({ leakBarPerSecond: 0.05 })(plant),
          device: "receiver",
          text: "air gets into the ammonia",
        };
    }
  }
}

/** Whatever stands still for half a minute is mended; the first compressor of a room goes back to its thermostat. */
function repair(name: string, plant: Plant): Turn | undefined {
  const { stoodSeconds, locked, bearing, condenser } = compressorOf(plant, name);
  const isBroken = bearing > 1 || condenser > 1;
  if (stoodSeconds < REPAIR_SECONDS || !(isBroken || (locked && isFirst(name)))) return undefined;
  const text = isBroken ? "mended by the technician" : "given back to its thermostat";
  return { plant: changedCompressor(name, { bearing: 1, condenser: 1, locked: false })(plant), device: name, text };
}

function shuffled<T>(all: readonly T[], dice: Dice): T[] {
  const left = [...all];
  return all.flatMap(() => left.splice(Math.floor(dice.next() * left.length), 1));
}
