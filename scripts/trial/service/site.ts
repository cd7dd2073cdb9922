import { NEAR } from "../cable/network.ts";
import { becomes, type Claims, sleep } from "../claims.ts";
import type { Mosquitto } from "../daemon.ts";
import { pumpConfig, Readings } from "../pumps.ts";
import { paced, Sensor } from "../sensor.ts";
import type { Machine } from "./machine.ts";
import { ready, status, UNIT, writeFile } from "./steps.ts";

export const DATA = "/var/lib/holdfast";
export const FILE = "/etc/holdfast/holdfast.yaml";
export const DRAIN_MS = 300_000;
const PER_SECOND = 200;
const DROP_INS = `/etc/systemd/system/${UNIT}.d`;

/** Where a step is tried: the machine, and what is outside of it. */
export interface Site {
  readonly machine: Machine;
  readonly folder: string;
  readonly broker: Mosquitto;
  /** Where the machine has the model. */
  readonly model: string;
}

export type Config = ReturnType<typeof pumpConfig>;

export function pumps(site: Site, more: object = {}): Config {
  const bus = { kind: "external", url: `mqtt://${NEAR}:${site.broker.port}`, ...more };
  return { ...pumpConfig(bus, site.model), store: { directory: DATA } };
}

/** The service begins anew, with an empty log, without drop-ins. False when it does not get ready. */
export async function fresh({ machine }: Site, claims: Claims, config: Config): Promise<boolean> {
  machine.run("systemctl", "stop", UNIT);
  machine.run("sh", "-c", `rm -rf ${DROP_INS} ${DATA}/*`);
  machine.run("systemctl", "daemon-reload");
  machine.try("systemctl", "reset-failed", UNIT);
  await writeFile(machine, FILE, JSON.stringify(config));
  machine.run("systemctl", "start", UNIT);
  return await ready(machine, claims, "with sensors");
}

export function putDropIn({ machine }: Site, name: string, text: string): void {
  machine.run("sh", "-c", `mkdir -p ${DROP_INS} && printf '%s' "$1" > ${DROP_INS}/${name}.conf`, "sh", text);
  machine.run("systemctl", "daemon-reload");
}

/** 200 readings a second go on while `work` is done; then all that were acknowledged. */
export async function withReadings(
  { port, first = 0 }: { port: number; first?: number },
  claims: Claims,
  work: () => Promise<void>,
): Promise<ReadonlySet<number>> {
  const sensor = await new Sensor(port, "pumps").open();
  const readings = new Readings(sensor, first);
  const sending = paced(PER_SECOND, () => readings.isOver, readings.send);
  try {
    await work();
  } finally {
    readings.isOver = true;
    await sending;
  }
  claims.holds(await sensor.settled(DRAIN_MS), `${sensor.unacknowledged} messages were not acknowledged at the end`);
  sensor.close();
  return readings.acknowledged;
}

/** Waits until nothing more is decided. */
export async function drained(machine: Machine, claims: Claims): Promise<void> {
  let before = -1;
  const isQuiet = await becomes(async () => {
    const now = status(machine)?.passes.decided ?? -1;
    const same = now === before && now >= 0;
    before = now;
    await sleep(1500);
    return same;
  }, DRAIN_MS);
  claims.holds(isQuiet, "it did not come to rest");
}

/** What systemd-analyze security says of the service as it is now. */
export function exposure(machine: Machine): number {
  const lines = machine.run("systemd-analyze", "security", UNIT, "--no-pager").trim().split("\n");
  return Number(/level for [^:]+: ([\d.]+)/.exec(lines.at(-1) ?? "")?.[1]);
}
