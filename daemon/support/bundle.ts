import { availableParallelism, freemem, loadavg, release, totalmem, uptime } from "node:os";
import { effective } from "../../config/effective.ts";
import type { Config } from "../../config/load.ts";
import { redact } from "../../sync/redact.ts";
import type { Clock } from "../clock.ts";
import type { FleetState } from "../fleet/fleet-part.ts";
import type { Status } from "../status.ts";
import type { Reader } from "../store/reader.ts";
import { version } from "../version.ts";

export interface BundleDeps {
  readonly clock: Pick<Clock, "wallMs" | "trust">;
  readonly newId: (wallMs: number) => string;
  readonly reader: Pick<Reader, "page" | "outbox">;
  readonly status: () => Status;
  readonly fleet: () => FleetState | undefined;
  readonly config: Config;
}

/** All of it is what a person may see who has the right to see the gateway at all: no secret, no private value. */
export interface SupportBundle {
  readonly v: 1;
  readonly kind: "support";
  readonly id: string;
  /** Wall time in milliseconds. */
  readonly at: number;
  readonly software: Readonly<Record<string, string>>;
  readonly machine: Readonly<Record<string, number>>;
  readonly clock: string;
  readonly status: Status;
  readonly link: FleetState | null;
  readonly outbox: unknown;
  /** As `holdfast config effective` shows it: secrets are hidden. */
  readonly config: Readonly<Record<string, unknown>>;
  /** The newest notes of the log, the newest first; older ones are left out where they are too many. */
  readonly notes: readonly unknown[];
}

const NOTES = 100;
/** It goes up as one record of a batch: far below what a batch may have. */
const MOST_BYTES = 96 * 1024;

/** Puts together what helps to find out from afar what is wrong. */
export async function supportBundle(deps: BundleDeps): Promise<SupportBundle> {
  const { clock, newId, reader, status, fleet, config } = deps;
  const at = Math.floor(clock.wallMs());
  const { rows } = await reader.page({ kinds: ["health"], limit: NOTES, newestFirst: true });
  const bundle: SupportBundle = {
    ...{ v: 1, kind: "support", id: newId(at), at },
    software: { holdfast: version(), node: process.version, architecture: process.arch, kernel: release() },
    machine: {
      ...{ upSeconds: Math.round(uptime()), cores: availableParallelism(), load1: loadavg()[0] ?? 0 },
      ...{ memoryBytes: totalmem(), freeMemoryBytes: freemem() },
    },
    ...{ clock: clock.trust(), status: status(), link: fleet() ?? null, outbox: await reader.outbox() },
    config: effective(config),
    notes: rows.map(({ body }) => redact(JSON.parse(body) as object).body),
  };
  return fitting(bundle);
}

/** With as many notes as there is room for. */
function fitting(bundle: SupportBundle): SupportBundle {
  const notes: unknown[] = [];
  let bytes = Buffer.byteLength(JSON.stringify({ ...bundle, notes }));
  for (const note of bundle.notes) {
    bytes += Buffer.byteLength(JSON.stringify(note)) + 1;
    if (bytes > MOST_BYTES) break;
    notes.push(note);
  }
  return { ...bundle, notes };
}
