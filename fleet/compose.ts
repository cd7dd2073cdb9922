import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { collectorFilters, stateFilter } from "../sync/topics.ts";
import { QueryServer } from "./api/query-server.ts";
import { askDatabase, socketPathOf } from "./api/questions.ts";
import { FleetBroker } from "./broker.ts";
import { Collector } from "./collector.ts";
import { openDesk } from "./enrol/open-desk.ts";
import { takeBatches } from "./importing.ts";
import { type CollectorKey, collectorKey } from "./key.ts";
import type { Log } from "./log.ts";
import { type FleetPlace, openDatabase, pgliteFolder } from "./open.ts";
import { Tidy } from "./tidy.ts";
import { createVoice } from "./voice.ts";

/** A part of the process that runs for as long as the process does. */
interface Part {
  readonly name: string;
  start(): Promise<void>;
  stop(): Promise<void>;
}

export interface Served {
  /** In the order in which they start; they stop in reverse. */
  readonly parts: readonly Part[];
  readonly collector: Collector;
  readonly isConnected: () => boolean;
}

/** Builds a collector: broker → collector → database. Opens the database; nothing is connected yet. */
export async function compose(
  place: FleetPlace,
  log: Log,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<Served> {
  const { config, baseDirectory } = place;
  const key = collectorKey(resolve(baseDirectory, config.keyFile));
  const { signer, publicText } = key;
  const database = await openDatabase(place);
  const brokers: FleetBroker[] = [];
  const nowMs = (): number => Date.now();
  const collector = new Collector(
    {
      ...{ database, log, nowMs, voice: createVoice(config.fleet, signer, nowMs) },
      publish: (message) => (brokers.find((one) => one.isConnected) ?? brokers[0])?.publish(message),
      committed: crashAfterCommit(environment),
    },
    { fleet: config.fleet, queue: config.collector.queue, gatherMs: config.collector.gatherMs },
  );
  const own = randomBytes(4).toString("hex");
  for (let at = 0; at < config.collector.clients; at++) {
    // Each hears the retained states for itself; one of the process's clients is enough.
    const filters = [...collectorFilters(config.fleet), ...(at === 0 ? [stateFilter(config.fleet)] : [])];
    const heard = (topic: string, payload: Uint8Array) => collector.heard(topic, payload);
    brokers.push(broker(place, `collector-${own}-${at}`, filters, heard, log));
  }
  const desks = deskOf(place, key, `enrol-${own}`, log);
  const folder = pgliteFolder(place);
  const take = (batches: Parameters<typeof takeBatches>[3]) => takeBatches(database, signer, config.fleet, batches);
  const questions = folder === undefined ? [] : [new QueryServer(socketPathOf(folder), askDatabase(database, take))];
  const store: Part = {
    name: "database",
    start: async () =>
      log.info({ fleet: config.fleet, key: publicText, database: folder ?? "server" }, "collector starts"),
    stop: () => database.close(),
  };
  return {
    parts: [store, new Tidy(database, config.retention, log), ...questions, collector, ...brokers, ...desks],
    collector,
    isConnected: () => brokers.some((one) => one.isConnected),
  };
}

/** A connection of its own: requests wait for a signature, and batches do not wait for them. */
function deskOf(place: FleetPlace, key: CollectorKey, clientId: string, log: Log): readonly FleetBroker[] {
  const desk = openDesk(place, key, log);
  if (desk === undefined) return [];
  const heard = (topic: string, payload: Uint8Array) => desk.heard(topic, payload, (reply) => own.publish(reply));
  const own = broker(place, clientId, [desk.filter], heard, log);
  return [own];
}

function broker(
  { config, baseDirectory }: FleetPlace,
  clientId: string,
  filters: readonly string[],
  heard: (topic: string, payload: Uint8Array) => Promise<void>,
  log: Log,
): FleetBroker {
  const read = (name: string | undefined): string | undefined =>
    name === undefined ? undefined : readFileSync(resolve(baseDirectory, name), "utf8");
  const { tls, passwordFile, brokers: urls, username } = config;
  return new FleetBroker(
    {
      ...{ random: Math.random, log, heard },
      files: () => ({
        ...{ ca: read(tls.ca), certificate: read(tls.certificate), key: read(tls.key) },
        password: read(passwordFile)?.trim(),
      }),
    },
    { urls, clientId, username, serverName: tls.serverName, filters },
  );
}

/** Trials alone set it: after how many commits the process is to die before it acknowledges. */
function crashAfterCommit(environment: Readonly<Record<string, string | undefined>>): (() => void) | undefined {
  let left = Number(environment["HOLDFAST_TEST_DIE_AFTER_COMMITS"] ?? 0);
  if (!(left > 0)) return undefined;
  return () => {
    left -= 1;
    if (left <= 0) process.kill(process.pid, "SIGKILL");
  };
}
