import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "./run.ts";

export const architectures = ["amd64", "arm64"] as const;
export type Architecture = (typeof architectures)[number];

/** As Node and npm call it. */
export const nodeName = (architecture: Architecture): "x64" | "arm64" => (architecture === "amd64" ? "x64" : "arm64");

/** The Node that a gateway gets: a release of the line with long support, by its digest in the registry. */
export const nodeVersion = "24.21.0";
const INTEGRITY: Readonly<Record<Architecture, string>> = {
  amd64: "3nULszZ5X0fciYpG0t6TrdApJzAn8+FlINP6OiMX7V8HrvpATPN936U1LlReOJriLRa4e8yEqQBYCnLyPNAs7Q==",
  arm64: "FpJRPEz2OvvTLfjIOlNGFY9JLPMKgl5m+d4oGYBLg24kJ1mmvN1Zl/HPJgF4HDaJ51ISev1l1cRZ/DM+keXW5g==",
};

/** Fetches Node with its headers from the npm registry and unpacks it below `folder`. Throws when it is not what it was. */
export function fetchNode(architecture: Architecture, folder: string): string {
  const name = `node-linux-${nodeName(architecture)}`;
  const target = join(folder, `${name}-${nodeVersion}`);
  if (existsSync(join(target, "bin", "node"))) return target;
  mkdirSync(target, { recursive: true });
  run("npm", ["pack", "--silent", "--pack-destination", folder, `${name}@${nodeVersion}`], { cwd: folder });
  const archive = join(folder, `${name}-${nodeVersion}.tgz`);
  const digest = createHash("sha512").update(readFileSync(archive)).digest("base64");
  if (digest !== INTEGRITY[architecture])
    throw new Error(`${name}@${nodeVersion} is not the one that was pinned: its digest is ${digest}`);
  run("tar", ["xzf", archive, "-C", target, "--strip-components=1"]);
  return target;
}
