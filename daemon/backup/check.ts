import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Keyring } from "../store/keyring.ts";
import { controlSchema, recordsSchema } from "../store/schema.ts";
import { openForReading } from "../store/sqlite-reader.ts";
import { type VerifyResult, verifyLog } from "../store/verify.ts";
import { newestForms } from "../store/versions/snapshot.ts";
import { readArchive } from "./archive.ts";
import { headOf } from "./backup.ts";
import { BackupError } from "./errors.ts";
import type { Manifest } from "./manifest.ts";
import { assertRoom } from "./room.ts";

export interface CheckOptions {
  /** The open archive. */
  readonly file: number;
  /** Where it is taken apart: an empty folder. */
  readonly folder: string;
  readonly roomHint: string;
  readonly keyring?: Keyring | undefined;
  readonly stop: AbortSignal;
  /** Told what is done, and of what. */
  readonly progress: (step: "bytes" | "rows", done: number, share: number) => void;
}

export interface Checked {
  readonly manifest: Manifest;
  readonly log: VerifyResult;
}

/** Takes a backup apart and looks at all of it: digests, databases, and the chain of its log. Throws a BackupError. */
export async function checkBackup(options: CheckOptions): Promise<Checked> {
  const { file, folder, keyring, stop, progress } = options;
  let total = 0;
  const manifest = await readArchive(file, folder, {
    stop,
    known: newestForms,
    accept: ({ files }) => {
      total = files.reduce((sum, { bytes }) => sum + bytes, 0);
      assertRoom(folder, total, options.roomHint);
    },
    progress: (bytes) => progress("bytes", bytes, bytes / Math.max(total, 1)),
  });
  const data = join(folder, "data");
  assertDatabases(data, manifest);
  const log = verifyLog({
    directory: data,
    keyring,
    progress: (done, all) => progress("rows", done, all === 0 ? 1 : done / all),
  });
  return { manifest, log };
}

function assertDatabases(data: string, { forms, head, files }: Manifest): void {
  for (const [name, schema, form] of [
    ["records.db", recordsSchema, forms.records],
    ["control.db", controlSchema, forms.control],
  ] as const) {
    const path = join(data, name);
    if (!existsSync(path)) throw new BackupError("BACKUP_DAMAGED", { file: name });
    const database = openForReading(path, schema);
    try {
      const found = database.pragma("user_version", { simple: true });
      const state = database.pragma("quick_check", { simple: true });
      if (found !== form || state !== "ok") throw new BackupError("BACKUP_DAMAGED", { file: name, form: found, state });
    } finally {
      database.close();
    }
  }
  const found = headOf(join(data, "records.db"));
  if (found.n !== head.n || found.epoch !== head.epoch || found.ordinal !== head.ordinal)
    throw new BackupError("BACKUP_DAMAGED", { file: "records.db", expected: head, found, files: files.length });
}
