import { randomBytes } from "node:crypto";
import { chmodSync, lstatSync, mkdirSync, readdirSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "../clock.ts";

const EXPIRES_MS = 10_000;
const MOST = 256;
/** Everybody who can reach it may make a directory in it; nobody may list it, or remove what is another's. */
const FOLDER_MODE = 0o1733;
const OTHERS = 0o077;

interface Deps {
  readonly directory: string;
  readonly clock: Pick<Clock, "bootMs">;
  /** The user that runs the daemon. */
  readonly ownUid: number;
  readonly newName?: () => string;
}

interface Claim {
  readonly path: string;
  readonly expiresBootMs: number;
  /** The connection that asked for it: a claim is worth nothing on another one. */
  readonly connection: object;
}

export interface Claims {
  /** A fresh path, at which the other end makes a directory; undefined while there can be none. */
  claim(connection: object): string | undefined;
  /** The user that made the directory; undefined when it is not the claim that this connection was given. Once only. */
  redeem(path: string, connection: object): number | undefined;
}

/** Where commands show which user they run as: who makes a directory owns it, and only root can give one away. */
export function claimsFolder(dataDirectory: string): string {
  return join(dataDirectory, "who");
}

/**
 * Finds out who is at the other end of a Unix socket, which Node does not tell: the daemon names a path that nobody can
 * guess, the other end makes a directory there, and the kernel says whose it is.
 */
export function createClaims({ directory, clock, ownUid, newName }: Deps): Claims {
  const folder = claimsFolder(directory);
  const name = newName ?? (() => randomBytes(16).toString("hex"));
  const claims = new Map<string, Claim>();
  let isReady = false;
  const forget = (claim: Claim): void => {
    claims.delete(claim.path);
    remove(claim.path);
  };
  return {
    claim(connection) {
      isReady ||= prepare(folder, ownUid);
      if (!isReady) return undefined;
      const now = clock.bootMs();
      for (const claim of claims.values())
        if (claim.expiresBootMs <= now || claims.size >= MOST) forget(claim);
        else break;
      const path = join(folder, name());
      claims.set(path, { path, expiresBootMs: now + EXPIRES_MS, connection });
      return path;
    },
    redeem(path, connection) {
      const claim = claims.get(path);
      if (claim === undefined || claim.connection !== connection) return undefined;
      const uid = claim.expiresBootMs > clock.bootMs() ? ownerOf(path) : undefined;
      forget(claim);
      return uid;
    },
  };
}

/**
 * A directory that only its owner can write can not have been moved here by somebody else: that takes the right to
 * write the directory itself.
 */
function ownerOf(path: string): number | undefined {
  const found = lstatSync(path, { throwIfNoEntry: false });
  return found?.isDirectory() === true && (found.mode & OTHERS) === 0 ? found.uid : undefined;
}

function prepare(folder: string, ownUid: number): boolean {
  try {
    mkdirSync(folder, { recursive: true });
    const found = lstatSync(folder);
    if (!found.isDirectory() || found.uid !== ownUid) return false;
    // The umask may have taken something of the mode away.
    chmodSync(folder, FOLDER_MODE);
    for (const left of readdirSync(folder)) remove(join(folder, left));
    return true;
  } catch {
    // A full disk, for one: then nobody can say who they are, and may only tighten.
    return false;
  }
}

function remove(path: string): void {
  try {
    rmdirSync(path);
  } catch {
    // Nothing there, or something else than an empty directory: not ours.
  }
}
