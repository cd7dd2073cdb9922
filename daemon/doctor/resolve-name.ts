import { Resolver } from "node:dns/promises";
import { isIP } from "node:net";
import { runProgram } from "./run-program.ts";

export type Resolved =
  | { readonly kind: "addresses"; readonly addresses: readonly string[] }
  | { readonly kind: "unknown" }
  | { readonly kind: "silent"; readonly why: string };

const GETENT_MS = 4000;
const ASK_MS = 1500;
const NO_SUCH_NAME = new Set(["ENOTFOUND", "ENODATA"]);

/**
 * As every program of the system does, in a process that can be ended: the library's own way holds a thread for as long
 * as the name servers are silent. Why it failed is asked of the name servers themselves.
 */
export async function resolveName(host: string): Promise<Resolved> {
  const { code, out } = await runProgram("getent", ["ahosts", host], GETENT_MS);
  const addresses = [...new Set(out.split("\n").map((line) => line.split(/\s+/)[0] ?? ""))].filter(
    (one) => isIP(one) > 0,
  );
  if (code === 0 && addresses.length > 0) return { kind: "addresses", addresses };
  return askServers(host);
}

async function askServers(host: string): Promise<Resolved> {
  const resolver = new Resolver({ timeout: ASK_MS, tries: 1 });
  try {
    return { kind: "addresses", addresses: await resolver.resolve4(host) };
  } catch (error) {
    const { code = String(error) } = error as NodeJS.ErrnoException;
    return NO_SUCH_NAME.has(code) ? { kind: "unknown" } : { kind: "silent", why: code };
  }
}
