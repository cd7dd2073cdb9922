import { basename, dirname, resolve } from "node:path";
import { z } from "zod";
import { described } from "./described.ts";
import { readOne } from "./load.ts";
import { placedIn } from "./places.ts";
import { atKey, atValue, didYouMean, inOrder, type Problem } from "./problems.ts";

const days = z.number().positive();

/** The file of the fleet's end: collectors today. */
export const fleetServerSchema = z.strictObject({
  schemaVersion: described(z.literal(1).default(1), "The version of the file's format.", 1),
  fleet: described(z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/), "The fleet's name.", "north"),
  brokers: described(
    z
      .array(z.string().regex(/^(mqtts?|wss):\/\/[^/\s]/))
      .min(1)
      .max(8),
    "The fleet's brokers, tried in turn. MQTT 5 with shared subscriptions.",
    ["mqtts://broker.fleet.example:8883"],
  ),
  username: described(z.string().optional(), "The user to connect as, where no certificate says it.", "collector"),
  passwordFile: described(z.string().optional(), "File with this user's password.", "collector.password"),
  tls: described(
    z
      .strictObject({
        ca: described(z.string().optional(), "File with the certificates that sign the broker's.", "fleet-ca.pem"),
        certificate: described(z.string().optional(), "File with the collector's certificate.", "collector.pem"),
        key: described(z.string().optional(), "File with the key of that certificate.", "collector.key"),
        serverName: described(z.string().optional(), "The name the broker's certificate must have.", "broker"),
      })
      .prefault({}),
    "Files for TLS to the broker, read again at each connection.",
  ),
  database: described(
    z
      .string()
      .regex(/^(pglite|postgres|postgresql):\/\//)
      .default("pglite://.holdfast-fleet/database"),
    "Where records are stored: pglite://FOLDER (one process, nothing to install), or postgres://… (many collectors).",
    "postgres://collector@db.fleet.example/holdfast",
  ),
  databasePasswordFile: described(z.string().optional(), "File with the database's password.", "database.password"),
  keyFile: described(
    z.string().min(1).default(".holdfast-fleet/collector.key"),
    "The Ed25519 key that acknowledgements are signed with; made at the first start.",
    "collector.key",
  ),
  collector: described(
    z
      .strictObject({
        clients: described(z.number().int().min(1).max(16).default(2), "Connections to the broker.", 2),
        queue: described(
          z.number().int().min(8).max(10_000).default(256),
          "How many batches may wait to be stored before the broker has to wait.",
          256,
        ),
        gatherMs: described(
          z.number().int().min(0).max(1000).default(5),
          "How long a batch may wait for others to be stored with it, in milliseconds.",
          5,
        ),
      })
      .prefault({}),
    "How a collector works.",
  ),
  retention: described(
    z
      .strictObject({
        safetyDays: described(days.optional(), "How long records of safety are kept; left out: for ever.", 3650),
        decisionsDays: described(days.default(730), "How long decisions are kept, in days.", 730),
        quietDays: described(days.default(90), "How long quiet passes are kept, in days.", 90),
        telemetryDays: described(days.default(365), "How long telemetry is kept, in days.", 365),
      })
      .prefault({}),
    "How long the fleet keeps records, from when they came.",
  ),
});
export type FleetServerConfig = z.infer<typeof fleetServerSchema>;

export type LoadedFleetServer =
  | { readonly ok: true; readonly config: FleetServerConfig; readonly baseDirectory: string }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** Reads the fleet's file: a configuration, or every mistake with its place. Never throws. */
export function loadFleetServer(file: string): LoadedFleetServer {
  const problems: Problem[] = [];
  const [read] = readOne({ name: file, path: basename(file), isMain: true }, problems);
  if (read === undefined) return { ok: false, problems: inOrder(problems) };
  const parsed = fleetServerSchema.safeParse(read.value);
  if (parsed.success) return { ok: true, config: parsed.data, baseDirectory: dirname(resolve(file)) };
  const known = Object.keys(fleetServerSchema.shape);
  for (const issue of parsed.error.issues) {
    if (issue.code === "unrecognized_keys")
      for (const key of issue.keys) {
        const hint = issue.path.length === 0 ? didYouMean(key, known) : undefined;
        problems.push(placedIn(read, atKey([...issue.path, key], `there is no "${key}" here`, hint)));
      }
    else problems.push(placedIn(read, atValue(issue.path, issue.message)));
  }
  return { ok: false, problems: inOrder(problems) };
}
