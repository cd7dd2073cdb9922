import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { callAsPerson } from "../../../daemon/api/control-client.ts";
import { Library } from "../../../models/library.ts";
import { becomes } from "../claims.ts";
import { freePort, type RunningDaemon, startDaemon } from "../daemon.ts";
import { fixtureModel } from "../fixtures.ts";
import { Sensor } from "../sensor.ts";

const WAIT_MS = 60_000;
const KILLED_AFTER = 0.9;
const PUMPS = 8;
/** Each pump is hot once in so many readings: a rule fires when it becomes so. */
const HOT_ONE_IN = 3;

/** How a data directory was left: in order, by kill -9 in the midst of acting, or the same with effects stopped by a person. */
export type Left = "stopped" | "killed" | "latched";

/** Data directories of one daemon's life, to be copied, torn, and started again. */
export interface Base {
  readonly folder: string;
  /** Of an early stop: what an older version of a file is taken from. */
  readonly older: string;
  readonly left: Readonly<Record<Left, string>>;
  /** Events that a sensor was told are kept. */
  readonly acknowledged: ReadonlySet<string>;
  /** All that were sent: the next one is another. */
  readonly sent: number;
}

/** A gateway of its own: configuration, data, and the ledger that its program writes. */
export class Place {
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
  }

  get data(): string {
    return join(this.folder, "data");
  }

  get config(): string {
    return join(this.folder, "holdfast.yaml");
  }

  /** Each press of the program, by the event that it was for. */
  ledger(): string[] {
    const file = join(this.folder, "ledger");
    return existsSync(file) ? readFileSync(file, "utf8").split("\n").filter(Boolean) : [];
  }

  /** A section a line, so that it may end anywhere. */
  writeConfig(): void {
    const sections = Object.entries(configOf(this.folder)).map(
      ([name, value]) => `${name}: ${JSON.stringify(value)}\n`,
    );
    writeFileSync(this.config, sections.join(""));
  }

  /** With its own program and ledger, also in the configuration that is kept. */
  static copy(from: string, to: string): Place {
    cpSync(from, to, { recursive: true, verbatimSymlinks: true, filter: isNoSocket });
    const kept = ["holdfast.yaml", "origin.json"].map((name) => join(to, "data", "last-good", name));
    for (const file of [join(to, "holdfast.yaml"), ...kept])
      writeFileSync(
        file,
        readFileSync(file, "utf8").replaceAll(`${from}/`, `${to}/`).replaceAll(`"${from}"`, `"${to}"`),
      );
    return new Place(to);
  }
}

function isNoSocket(path: string): boolean {
  return !statSync(path, { throwIfNoEntry: false })?.isSocket();
}

/** `count` events, each at QoS 1, until all are acknowledged. Gives those that were; `until`: it may be over before. */
export async function send(
  { port, first, count }: { port: number; first: number; count: number },
  until: (acknowledged: number) => boolean = () => false,
): Promise<Set<string>> {
  const acknowledged = new Set<string>();
  const sensor = await new Sensor(port, "sensor").open();
  for (let at = first; at < first + count; at++) {
    await sensor.room(64);
    const a = Math.floor(at / PUMPS) % HOT_ONE_IN === 0 ? 90 : 10;
    sensor.publish(`pump/p${at % PUMPS}/reading`, `{"id":"r${at}","ts":${Date.now()},"a":${a},"b":1}`, 1, () => {
      acknowledged.add(`r${at}`);
    });
  }
  await becomes(() => sensor.unacknowledged === 0 || until(acknowledged.size), WAIT_MS);
  sensor.close();
  return acknowledged;
}

export async function makeBase(folder: string, events: number): Promise<Base> {
  const site = new Place(join(folder, "site"));
  mkdirSync(site.data, { recursive: true });
  site.writeConfig();
  writeFileSync(join(site.folder, "press.sh"), '#!/bin/sh\necho "$1" >> "$(dirname "$0")/ledger"\n');
  chmodSync(join(site.folder, "press.sh"), 0o755);
  await new Library(join(site.data, "models")).add(fixtureModel("linear"));
  const snapshot = (name: string): string => Place.copy(site.folder, join(folder, name)).folder;
  const third = Math.floor(events / 3);
  const first = await started(site);
  await callAsPerson({ dataDirectory: site.data, verb: "mode", parameters: { scope: "gateway", mode: "auto" } });
  const acknowledged = await send({ port: first.port, first: 0, count: third });
  await becomes(() => site.ledger().length >= Math.floor(third / HOT_ONE_IN) - PUMPS, WAIT_MS);
  await first.daemon.stop();
  const older = snapshot("older");
  const second = await started(site);
  // Not quite all are acknowledged, and actions are under way.
  const most = await send(
    { port: second.port, first: third, count: events - third },
    (count) => count >= (events - third) * KILLED_AFTER,
  );
  await second.daemon.kill();
  for (const id of most) acknowledged.add(id);
  const killed = snapshot("killed");
  const latching = await started(site);
  await callAsPerson({ dataDirectory: site.data, verb: "stop", parameters: { why: "smoke" } });
  await latching.daemon.kill();
  const latched = snapshot("latched");
  const calm = Place.copy(killed, join(folder, "stopped"));
  await (await started(calm)).daemon.stop();
  return { folder, older, left: { killed, latched, stopped: calm.folder }, acknowledged, sent: events };
}

export async function started(place: Place): Promise<{ daemon: RunningDaemon; port: number }> {
  const port = await freePort();
  const wrapper = ["env", `HOLDFAST__BUS__PORT=${port}`];
  return { daemon: await startDaemon(place.config, place.data, wrapper, ["--last-good"]), port };
}

function configOf(folder: string): object {
  const range = { min: -1000, max: 1000 };
  const source = {
    kind: "mqtt",
    topic: "pump/{pump}/reading",
    key: "pump",
    timestamp: { path: "ts", unit: "ms" },
    fields: { a: range, b: range },
  };
  const event = { id: { path: "id" } };
  const rules = [
    {
      id: "hot",
      when: "event.fields.a > 50.0",
      do: [{ tool: "press", arguments: { event: "has(event.id) ? event.id : 'none'" } }],
    },
  ];
  return {
    schemaVersion: 1,
    mode: "auto",
    bus: { kind: "embedded", port: 1883 },
    store: { ballastBytes: 1_048_576, commitDelayMs: 5 },
    limits: { effectsPerMinute: 1_000_000 },
    programs: { press: { path: join(folder, "press.sh"), arguments: ["{event}"] } },
    agents: {
      guard: { priority: "action", sources: [source], event, rules, record: { quiet: "all" } },
      window: {
        sources: [source],
        event,
        window: { seconds: 30, lateSeconds: 20, durability: "journal" },
        features: { a: "mean(a)", b: "count(b)" },
        model: "linear",
        rules: [{ id: "never", when: "answer.score > 1000000.0" }],
        record: { quiet: "all" },
      },
    },
    tools: { press: { kind: "command", program: "press", class: "reversible", timeoutSeconds: 5 } },
    policy: [{ id: "all", effect: "permit" }],
  };
}
