import { type Body, type Device, devices, type Order, temperatureSensors } from "./devices.ts";
import { createDice, type Dice } from "./dice.ts";
import { type ActuatorFault, type CourseStep, courseOf, createFaults, type FaultLevel, type Faults } from "./faults.ts";
import { noticesOf } from "./notices.ts";
import { newPlant, type Plant, step } from "./plant.ts";
import { Received, type ReceivedSummary } from "./received.ts";
import { Troubles } from "./troubles.ts";

export interface Happening {
  readonly kind: "plant" | "command" | "actuator" | "sensor" | "duplicate" | "notUnderstood";
  readonly device: string;
  readonly text: string;
  readonly id?: string;
}

interface Deps {
  /** Time for the sensors' own timestamps. */
  readonly wallMs: () => number;
  readonly publish: (topic: string, payload: string) => void;
  readonly say: (happening: Happening) => void;
}

interface Choice {
  readonly seed: number;
  readonly faults: FaultLevel;
  /** How much faster heat, frost and troubles are than in a real plant. */
  readonly speed: number;
}

const TICK_MS = 100;
const TICKS_A_SECOND = 1000 / TICK_MS;
const OBEYS_MS = [200, 800] as const;
const MUTE_MS = 10_000;
const LIE_MS = 30_000;

/** The plant with its sensors and actuators. Does nothing by itself: it is moved on, and told what was commanded. */
export class ColdStore {
  readonly #deps: Deps;
  readonly #speed: number;
  readonly #faults: Faults;
  readonly #troubles: Troubles;
  readonly #noise: Dice;
  readonly #delays: Dice;
  readonly #received = new Received();
  readonly #commandsOf = new Map<string, number>();
  readonly #claims = new Map<string, { readonly claim: Body; readonly untilMs: number }>();
  readonly #muteUntilMs = new Map<string, number>();
  readonly #stuck = new Map<string, Body>();
  readonly #faultOfSensor = new Map<string, string | undefined>();
  #due: { readonly atMs: number; readonly run: () => void }[] = [];
  #plant = newPlant();
  #ticks = 0;

  constructor(deps: Deps, { seed, faults, speed }: Choice) {
    this.#deps = deps;
    this.#speed = speed;
    this.#faults = createFaults(seed, faults);
    this.#troubles = new Troubles(seed, speed);
    this.#noise = createDice(seed, "noise");
    this.#delays = createDice(seed, "delays");
  }

  get plant(): Plant {
    return this.#plant;
  }

  get elapsedMs(): number {
    return this.#ticks * TICK_MS;
  }

  received(): ReceivedSummary {
    return this.#received.summary();
  }

  /** Moves the plant on to so long after its start. */
  advance(toMs: number): void {
    while (this.elapsedMs + TICK_MS <= toMs) this.#tick();
  }

  #tick(): void {
    this.#ticks += 1;
    const now = this.elapsedMs;
    const due = this.#due.filter((one) => one.atMs <= now);
    this.#due = this.#due.filter((one) => one.atMs > now);
    for (const one of due) one.run();
    const before = this.#plant;
    this.#plant = step(before, TICK_MS / 1000, this.#speed);
    for (const notice of noticesOf(before, this.#plant)) this.#deps.say({ kind: "plant", ...notice });
    if (this.#ticks % TICKS_A_SECOND !== 0) return;
    const seconds = this.#ticks / TICKS_A_SECOND;
    for (const { plant, device, text } of this.#troubles.at(seconds, this.#plant)) {
      this.#plant = plant;
      this.#deps.say({ kind: "plant", device, text });
    }
    this.#readings(seconds);
  }

  #readings(seconds: number): void {
    for (const sensor of temperatureSensors) {
      const fault = this.#faults.ofSensor(sensor.room, seconds);
      const device = `${sensor.room} temperature`;
      if (this.#faultOfSensor.get(device) !== fault) {
        const text = fault === undefined ? "works again" : fault === "nan" ? "says NaN" : FAULT_WORDS[fault];
        this.#faultOfSensor.set(device, fault);
        this.#deps.say({ kind: "sensor", device, text });
      }
      const body = sensor.reading(this.#plant, this.#noise);
      if (fault !== "sticks") this.#stuck.set(device, body);
      if (fault === "silent") continue;
      const shown = JSON.stringify({ ts: this.#deps.wallMs(), ...(this.#stuck.get(device) ?? body) });
      // JSON has no NaN; firmware prints it all the same.
      const text = fault === "nan" ? shown.replace(/"temperature":[^,]+/, '"temperature":NaN') : shown;
      this.#deps.publish(sensor.topic, text);
    }
    for (const device of devices) this.#publishState(device);
  }

  #publishState(device: Device, extra: Body = {}): void {
    if ((this.#muteUntilMs.get(device.name) ?? 0) > this.elapsedMs) return;
    const lie = this.#claims.get(device.name);
    const claim = lie !== undefined && lie.untilMs > this.elapsedMs ? lie.claim : {};
    const state = { ts: this.#deps.wallMs(), ...device.state(this.#plant, this.#noise), ...claim, ...extra };
    this.#deps.publish(device.stateTopic, JSON.stringify(state));
  }

  /** A command as it came from the bus. */
  command(topic: string, payload: string): void {
    const { cmd, id } = parsed(payload);
    const device = devices.find((one) => one.commandTopic === topic);
    const order = device === undefined || cmd === undefined ? undefined : orderOf(device, cmd);
    if (device === undefined || cmd === undefined || order === undefined) {
      this.#received.addNotUnderstood();
      this.#deps.say({ kind: "notUnderstood", device: device?.name ?? topic, text: `a command that it does not know` });
      return;
    }
    const times = this.#received.add(id, device.name, cmd);
    const named = id === undefined ? {} : { id };
    this.#deps.say({ kind: "command", device: device.name, text: cmd, ...named });
    if (times > 1)
      this.#deps.say({ kind: "duplicate", device: device.name, text: `${cmd}, ${times} times by now`, ...named });
    const n = (this.#commandsOf.get(device.name) ?? 0) + 1;
    this.#commandsOf.set(device.name, n);
    this.#obey(device, cmd, order, this.#faults.ofCommand(device.name, n));
  }

  #obey(device: Device, cmd: string, order: Order, fault: ActuatorFault | undefined): void {
    const delayMs = this.#delays.between(...OBEYS_MS);
    for (const step of courseOf(fault, cmd, delayMs))
      this.#due.push({ atMs: this.elapsedMs + step.afterMs, run: () => this.#do(device, order, step) });
  }

  #do(device: Device, order: Order, { what, text }: CourseStep): void {
    const { name } = device;
    this.#deps.say({ kind: "actuator", device: name, text });
    if (what === "mute") this.#muteUntilMs.set(name, this.elapsedMs + MUTE_MS);
    if (what === "claim") this.#claims.set(name, { claim: order.claim, untilMs: this.elapsedMs + LIE_MS });
    if (what === "apply" || what === "undo") {
      this.#claims.delete(name);
      this.#plant = order[what](this.#plant);
    }
    this.#publishState(device, what === "reject" ? { error: "local control" } : {});
  }
}

const FAULT_WORDS = { sticks: "sticks at its last value", silent: "falls silent" } as const;

function orderOf(device: Device, cmd: string): Order | undefined {
  return Object.hasOwn(device.orders, cmd) ? device.orders[cmd] : undefined;
}

function parsed(payload: string): { readonly cmd: string | undefined; readonly id: string | undefined } {
  try {
    const body: unknown = JSON.parse(payload);
    const { cmd, _id: id } = typeof body === "object" && body !== null ? (body as Record<string, unknown>) : {};
    return { cmd: typeof cmd === "string" ? cmd : undefined, id: typeof id === "string" ? id : undefined };
  } catch {
    return { cmd: undefined, id: undefined };
  }
}
