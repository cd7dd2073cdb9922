import { randomBytes } from "node:crypto";
import { rmSync } from "node:fs";
import { acknowledgementPath, latchPath, readLatch, writeLatchDurably } from "../../../daemon/latch-file.ts";
import type { Status } from "../../../daemon/status.ts";
import { becomes } from "../claims.ts";
import type { Site } from "./site.ts";
import type { LatchedSpan } from "./story.ts";

const ACKNOWLEDGED_MS = 8000;

/** A person stops everything by the socket. From when that returned, nothing may leave. `isCut`: the broker is away. */
export async function stopBySocket(site: Site, isCut = false): Promise<LatchedSpan> {
  // A daemon that died over it has promised nothing.
  while ((await site.ask("stop", { why: "the trial" })) === undefined) site.story.count("daemon died over a stop");
  return await begin(site, "socket", isCut);
}

/** A person stops everything by the file alone. From when the daemon acknowledged that, nothing may leave. */
export async function stopByFile(site: Site): Promise<() => Promise<LatchedSpan>> {
  const nonce = randomBytes(8).toString("hex");
  const note = { latched: true, why: "the trial", by: "trial", at: Date.now(), nonce };
  writeLatchDurably(latchPath(site.data), note);
  return async () => {
    await acknowledged(site, (seen) => seen === nonce, "a stop by the file");
    return await begin(site, "file", false);
  };
}

/** Somebody removes the latch file of a gateway that is not stopped: that stops it. */
export async function stopByRemoval(site: Site): Promise<LatchedSpan> {
  await site.ready();
  const before = acknowledgedNonce(site);
  removeLatchFile(site);
  await acknowledged(site, (seen) => seen !== before, "the latch file's removal");
  return await begin(site, "removal", false);
}

export function removeLatchFile(site: Site): void {
  rmSync(latchPath(site.data), { force: true });
}

/** Lets effects leave again; from now on they may. */
export async function release(site: Site, span: LatchedSpan): Promise<void> {
  site.holds(await isLatched(site), `the gateway was not latched any more before its release (${span.how})`);
  span.untilMs = site.nowMs();
  while ((await site.ask("release")) === undefined || (await isLatched(site)))
    site.story.count("daemon died over a release");
}

async function isLatched(site: Site): Promise<boolean> {
  return ((await site.tell((daemon) => daemon.status())) as Status).latched;
}

async function begin(site: Site, how: string, isCut: boolean): Promise<LatchedSpan> {
  const { seq, atMs } = await site.ledger.fence(isCut);
  const span = { fromSeq: seq, fromMs: atMs, untilMs: Number.POSITIVE_INFINITY, how };
  site.story.latched.push(span);
  return span;
}

async function acknowledged(site: Site, isIt: (nonce: string | undefined) => boolean, what: string): Promise<void> {
  await site.ready();
  const came = await becomes(async () => {
    if (!site.isAlive) await site.ready();
    return isIt(acknowledgedNonce(site));
  }, ACKNOWLEDGED_MS);
  site.holds(came, `latched: ${what} was not acknowledged within ${ACKNOWLEDGED_MS / 1000} s`);
}

function acknowledgedNonce(site: Site): string | undefined {
  const reading = readLatch(acknowledgementPath(site.data));
  return reading.kind === "read" ? reading.note.nonce : undefined;
}
