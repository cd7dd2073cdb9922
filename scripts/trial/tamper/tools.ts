import { createHash, generateKeyPairSync } from "node:crypto";
import type Sqlite from "better-sqlite3";
import { type Signer, signerOf } from "../../../sync/signing.ts";

export type Random = () => number;

/** Changes the log as somebody might who can write to the file. */
export interface Edit {
  readonly name: string;
  apply(database: Sqlite.Database, random: Random): void;
}

export interface AnyRow {
  readonly n: number;
  readonly epoch: number;
  readonly stream: number;
  readonly seq: number;
  readonly body: string;
}

export function pick<T>(from: readonly T[], random: Random): T {
  return from[Math.floor(random() * from.length)] as T;
}

const lists = new WeakMap<Sqlite.Database, AnyRow[]>();

/** The rows as they were before the edit: every edit is undone again. */
export function rowsOf(database: Sqlite.Database): AnyRow[] {
  const known = lists.get(database);
  if (known !== undefined) return known;
  const rows = database.prepare("SELECT n, epoch, stream, seq, body FROM record ORDER BY n").all() as AnyRow[];
  lists.set(database, rows);
  return rows;
}

export function hashOf(body: string): Buffer {
  return createHash("sha256").update(body).digest().subarray(0, 16);
}

export function rewrite(database: Sqlite.Database, n: number, body: string): void {
  database.prepare("UPDATE record SET body = ?, hash = ? WHERE n = ?").run(body, hashOf(body), n);
}

const { privateKey, publicKey } = generateKeyPairSync("ed25519");
/** Somebody's own key. */
export const stranger: Signer = signerOf(privateKey, publicKey);
export const strangersKey = publicKey;

/** The body without its signature, as an object. */
export function unsigned(body: string): Record<string, unknown> {
  const { key: _, signature: __, ...rest } = JSON.parse(body) as Record<string, unknown>;
  return rest;
}
