import { spawn } from "node:child_process";
import { once } from "node:events";
import { childPath } from "../../daemon/children.ts";
import { ownNetwork } from "./cable/network.ts";
import type { TrialOptions, TrialResult } from "./trial.ts";

const NO_RIGHT =
  "there is no right to make a network of one's own here, so nothing was tried: run it as root, or where the kernel lets anybody make user namespaces (and with iproute2 and util-linux)";

/** Runs a trial in a process that has a network of its own, so that nothing of the machine's is touched. */
export async function inOwnNetwork(entry: string, { say, ...options }: TrialOptions): Promise<TrialResult> {
  const own = ownNetwork();
  if (own === undefined) return { figures: {}, failures: [NO_RIGHT] };
  const [command = "", ...args] = [...own, process.execPath, childPath(entry)];
  const child = spawn(command, [...args, JSON.stringify(options)], { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  let result: TrialResult | undefined;
  child.on("message", (message: TrialResult | { said: string }) => {
    if ("said" in message) say(message.said);
    else result = message;
  });
  const [code] = (await once(child, "exit")) as [number | null];
  return result ?? { figures: {}, failures: [`the trial's process ended (${code})`] };
}
