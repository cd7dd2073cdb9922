import { spawn } from "node:child_process";
import { once } from "node:events";
import { childPath } from "../../daemon/children.ts";
import { ownNetwork } from "./cable/network.ts";
import type { Trial, TrialResult } from "./trial.ts";

const NO_RIGHT =
  "there is no right to make a network of one's own here, so no cable was pulled: run it as root, or where the kernel lets anybody make user namespaces (and with iproute2 and util-linux)";

/**
 * The network cable between a gateway and its fleet comes out and goes in again, in turns: does anybody on the gateway's
 * side notice, and does the fleet have everything in the end? `minutes`: how long it is out in all; `rounds`: how often.
 */
export const trial: Trial = async (options) => {
  const own = ownNetwork();
  if (own === undefined) return { figures: {}, failures: [NO_RIGHT] };
  const { minutes, rounds, keep } = options;
  // A process in a network of its own, so that nothing of the machine's is touched.
  const [command = "", ...args] = [...own, process.execPath, childPath("scripts/trial/cable/inside-main")];
  const child = spawn(command, [...args, JSON.stringify({ minutes, rounds, keep })], {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  let result: TrialResult | undefined;
  child.on("message", (message: TrialResult | { said: string }) => {
    if ("said" in message) options.say(message.said);
    else result = message;
  });
  const [code] = (await once(child, "exit")) as [number | null];
  return result ?? { figures: {}, failures: [`the trial's process ended (${code})`] };
};
