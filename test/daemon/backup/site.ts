import { existsSync, mkdirSync, openSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { makeBackup } from "../../../daemon/backup/backup.ts";
import type { Manifest } from "../../../daemon/backup/manifest.ts";
import { type Restored, type RestoreOptions, restoreBackup } from "../../../daemon/backup/restore.ts";
import { BLOCK, paddingOf, renderHeader } from "../../../daemon/backup/tar.ts";
import { createIds } from "../../../daemon/ids.ts";
import { createFirstLatch } from "../../../daemon/latch-file.ts";
import type { StoreOptions } from "../../../daemon/store/store.ts";
import { openTestStore, temporaryDirectory } from "../store/support.ts";

export const never = new AbortController().signal;
const newId = createIds();

/** A daemon's life in a data directory: it starts, writes decisions, and stops. Gives the ids. */
export async function live(
  directory: string,
  decisions: number,
  options: Partial<StoreOptions> = {},
): Promise<string[]> {
  mkdirSync(directory, { recursive: true });
  createFirstLatch(directory, Date.now());
  const { store } = await openTestStore(directory, options);
  await store.control.change({ kind: "meta", name: "latchFile", value: "yes" });
  const agent = store.agentNumber("pump");
  const ids: string[] = [];
  for (let at = 0; at < decisions; at++) {
    const wallMs = Date.now();
    const id = newId(wallMs);
    const body = JSON.stringify({ v: 1, kind: "decision", id, agent: "pump", at });
    store.append({ stream: 1, kind: "decision", agent, id, wallMs, body });
    ids.push(id);
  }
  await store.flush();
  await store.stop();
  return ids;
}

export interface Site {
  readonly folder: string;
  readonly data: string;
  readonly archive: string;
}

/** A data directory with some decisions, and the name of a backup beside it. */
export async function site(decisions = 5): Promise<Site> {
  const folder = temporaryDirectory();
  const data = join(folder, "data");
  await live(data, decisions);
  return { folder, data, archive: join(folder, "backup.tar.gz") };
}

export async function backup(at: Site, over: Partial<Parameters<typeof makeBackup>[0]> = {}) {
  return await makeBackup({
    ...{ dataDirectory: at.data, config: undefined, gateway: "plant-7", to: at.archive, withKeys: true },
    ...{ overwrite: true, wallMs: Date.now(), stop: never, progress: () => undefined },
    ...over,
  });
}

export async function restore(
  archive: string,
  dataDirectory: string,
  over: Partial<RestoreOptions> = {},
): Promise<Restored> {
  if (!existsSync(dataDirectory)) mkdirSync(dataDirectory);
  return await restoreBackup({
    ...{ dataDirectory, file: openSync(archive, "r"), acceptBrokenChain: false, withConfig: false },
    ...{ wallMs: Date.now(), stop: never, progress: () => undefined, confirm: async () => true },
    ...over,
  });
}

/** An entry of an archive as somebody wrote it by hand. */
export interface Entry {
  readonly path: string;
  readonly content: string | Buffer;
  /** Changes the header's bytes; the sum over them is made anew. */
  readonly forge?: (header: Buffer) => void;
  /** What the header says in place of the content's size. */
  readonly bytes?: number;
}

/** Writes an archive without asking whether it is one. */
export function forgeArchive(path: string, entries: readonly Entry[], end: Buffer = Buffer.alloc(2 * BLOCK)): string {
  const blocks = entries.flatMap(({ path: name, content, forge, bytes }) => {
    const body = Buffer.from(content as string);
    const header = renderHeader({ path: name, bytes: bytes ?? body.length }, 0o640, 0);
    forge?.(header);
    if (forge !== undefined) sumUp(header);
    return [header, body, Buffer.alloc(paddingOf(body.length))];
  });
  writeFileSync(path, gzipSync(Buffer.concat([...blocks, end])));
  return path;
}

function sumUp(header: Buffer): void {
  header.fill(" ", 148, 156);
  const sum = header.reduce((all, byte) => all + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
}

/** A manifest as an archive with these files would have it. */
export function someManifest(over: Partial<Record<keyof Manifest, unknown>> = {}): Record<string, unknown> {
  const sha256 = "0".repeat(64);
  return {
    ...{
      kind: "holdfast-backup",
      v: 1,
      holdfast: "0.1.0",
      gateway: "plant-7",
      createdAt: 1,
      hasKeys: true,
      latched: false,
    },
    ...{ forms: { records: 1, control: 1 }, config: null, links: [] },
    head: { ordinal: 1, epoch: "00", n: 1, streams: [] },
    files: [
      { path: "data/records.db", bytes: 1, sha256 },
      { path: "data/control.db", bytes: 1, sha256 },
    ],
    ...over,
  };
}
