import { execFile } from "node:child_process";

/** Says something to the service manager, as `KEY=value` lines (sd_notify(3)). Rejects when it could not be said. */
export type Notify = (...assignments: readonly string[]) => Promise<void>;

const PROGRAM = "systemd-notify";
const WITHIN_MS = 5000;

/**
 * Undefined where nobody listens. By a program, since Node has no datagram sockets of this kind: a few milliseconds each
 * time. It waits until the manager has read the message, or it could be attributed to nobody (systemd-notify(1)); so the
 * unit needs NotifyAccess=all.
 */
export function notifyOf(environment: Readonly<Record<string, string | undefined>>): Notify | undefined {
  const { NOTIFY_SOCKET, PATH } = environment;
  if (NOTIFY_SOCKET === undefined || NOTIFY_SOCKET === "") return undefined;
  return (...assignments) =>
    new Promise((resolve, reject) => {
      const env = { NOTIFY_SOCKET, PATH: PATH ?? "/usr/bin:/bin" };
      execFile(PROGRAM, [...assignments], { env, timeout: WITHIN_MS }, (error) => {
        if (error === null) resolve();
        else reject(error);
      });
    });
}

/** How long the service manager waits for a sign of life (sd_watchdog_enabled(3)), in milliseconds; undefined: it does not. */
export function watchdogMs(
  environment: Readonly<Record<string, string | undefined>>,
  pid: number = process.pid,
): number | undefined {
  const { WATCHDOG_USEC, WATCHDOG_PID } = environment;
  if (WATCHDOG_PID !== undefined && WATCHDOG_PID !== "" && Number(WATCHDOG_PID) !== pid) return undefined;
  const microseconds = Number(WATCHDOG_USEC ?? "");
  return Number.isSafeInteger(microseconds) && microseconds > 0 ? microseconds / 1000 : undefined;
}
