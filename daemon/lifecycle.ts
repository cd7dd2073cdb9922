import { DaemonError } from "./errors.ts";
import type { Log } from "./log.ts";

/** A part of the daemon that runs for as long as the daemon does. */
export interface Component {
  readonly name: string;
  start(signal: AbortSignal): Promise<void>;
  stop(): Promise<void>;
}

/** Starts in order; when one fails, the started ones stop in reverse and the failure goes on. */
export async function startAll(parts: readonly Component[], signal: AbortSignal, log: Log): Promise<void> {
  const started: Component[] = [];
  for (const part of parts) {
    try {
      signal.throwIfAborted();
      await part.start(signal);
      started.push(part);
    } catch (cause) {
      await stopAll(started, log);
      throw cause;
    }
  }
}

/** Stops in reverse order. One that fails to stop does not keep the others from stopping. */
export async function stopAll(parts: readonly Component[], log: Log): Promise<void> {
  for (const part of [...parts].reverse()) {
    try {
      await part.stop();
    } catch (err) {
      log.error({ part: part.name, err }, "part failed to stop");
    }
  }
}

/** Runs `work`, or fails with STOP_DEADLINE when it takes longer than `deadlineMs`. */
export async function withinDeadline(work: Promise<void>, deadlineMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new DaemonError("STOP_DEADLINE", { deadlineMs })), deadlineMs);
  });
  try {
    await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
