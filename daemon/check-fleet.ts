import type { LoadedConfig } from "../config/load.ts";
import type { Problem } from "../config/problems.ts";
import { SyncError } from "../sync/errors.ts";
import { fleetKeys } from "../sync/fleet-keys.ts";
import { TOPIC_NAME } from "../sync/topics.ts";

const LOOPBACK = /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/;

/** What makes a fleet's section useless, found before anything is connected. */
export function checkFleet(loaded: LoadedConfig, problems: Problem[]): void {
  const { fleet, device } = loaded.config.gateway;
  if (fleet === undefined) return;
  if (fleet.gateway === undefined && !TOPIC_NAME.test(device.name)) {
    const hint = "Give fleet.gateway: letters, digits, - and _.";
    problems.push(loaded.problemAt(["fleet"], `the device's name "${device.name}" can be no level of a topic`, hint));
  }
  for (const [index, url] of fleet.brokers.entries()) {
    if (new URL(url).username !== "") {
      const hint = "Use fleet.username and fleet.passwordFile.";
      problems.push(loaded.problemAt(["fleet", "brokers", index], "a broker's URL carries no user and password", hint));
    }
    if (!url.startsWith("mqtt://") || LOOPBACK.test(new URL(url).hostname)) continue;
    const hint = "Use mqtts:// or wss://.";
    problems.push(loaded.problemAt(["fleet", "brokers", index], "mqtt:// is for a broker on this machine alone", hint));
  }
  const { certificate, key } = fleet.tls;
  if ((certificate === undefined) !== (key === undefined))
    problems.push(loaded.problemAt(["fleet", "tls"], "a certificate needs its key, and a key its certificate"));
  for (const [index, text] of fleet.keys.entries()) {
    try {
      fleetKeys([text]);
    } catch (error) {
      if (!(error instanceof SyncError)) throw error;
      problems.push(loaded.problemAt(["fleet", "keys", index], "this is no Ed25519 key"));
    }
  }
}

/** The gateway's name in its fleet. */
export function gatewayName({ config: { gateway } }: LoadedConfig): string {
  return gateway.fleet?.gateway ?? gateway.device.name;
}
