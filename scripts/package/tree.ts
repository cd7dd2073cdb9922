import { chmodSync, copyFileSync, cpSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { toolPrefix } from "./modules.ts";
import { run } from "./run.ts";
import { type Architecture, nodeVersion } from "./runtime.ts";

const PROGRAM = "usr/lib/holdfast";
const UNITS = "usr/lib/systemd/system";
/** Parts of dist that run on a gateway; the scripts stay at home. */
const RUNS = ["config", "daemon", "fleet", "models", "sync"];

export interface Tree {
  readonly root: string;
  /** Compiled files, what belongs to them, and the modules. */
  readonly stage: string;
  readonly node: string;
  readonly architecture: Architecture;
  readonly version: string;
}

/** Lays everything where it will lie on the gateway, below `to`. */
export function layTree({ root, stage, node, architecture, version }: Tree, to: string): void {
  const program = join(to, PROGRAM);
  put(join(node, "bin/node"), join(program, "bin/node"), 0o755);
  run(`${toolPrefix(architecture)}strip`, ["--strip-unneeded", join(program, "bin/node")]);
  for (const part of RUNS)
    cpSync(join(root, "dist", part), join(program, "dist", part), {
      recursive: true,
      filter: (path) => !/\.d\.ts$|\.map$|\.tsbuildinfo$/.test(path),
    });
  renameSync(join(stage, "node_modules"), join(program, "node_modules"));
  const { name, type, license } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as Record<
    string,
    string
  >;
  write(
    join(program, "package.json"),
    `${JSON.stringify({ name, version, type, license, engines: { node: nodeVersion } })}\n`,
  );
  wrapper(join(to, "usr/bin/holdfast"), `/${PROGRAM}/launch`);
  wrapper(join(to, "usr/bin/holdfast-fleet"), `/${PROGRAM}/bin/node /${PROGRAM}/dist/fleet/main.js`);
  const debian = join(root, "scripts/package/debian");
  for (const script of ["launch", "upgrade-guard"]) put(join(debian, script), join(program, script), 0o755);
  service(debian, to);
  write(join(to, "etc/holdfast/holdfast.yaml"), firstConfiguration(root), 0o640);
  // Where a factory reset finds it again.
  write(join(to, "usr/share/holdfast/holdfast.yaml"), firstConfiguration(root), 0o644);
  cpSync(join(root, "config/examples"), join(to, "usr/share/holdfast/examples"), { recursive: true });
}

function service(debian: string, to: string): void {
  for (const unit of ["holdfast.service", "holdfast-fleet@.service"]) put(join(debian, unit), join(to, UNITS, unit));
  put(join(debian, "holdfast.sysusers"), join(to, "usr/lib/sysusers.d/holdfast.conf"));
  put(join(debian, "holdfast.tmpfiles"), join(to, "usr/lib/tmpfiles.d/holdfast.conf"));
  cpSync(join(debian, "drop-ins"), join(to, "usr/share/holdfast/drop-ins"), { recursive: true });
}

/** What a fresh gateway runs: it watches its own machine, and decides without acting. Made from the example, so it loads. */
export function firstConfiguration(root: string): string {
  let text = readFileSync(join(root, "config/examples/this-machine/holdfast.yaml"), "utf8");
  const swap = (from: RegExp, into: string): void => {
    if (!from.test(text)) throw new Error(`the example has no ${String(from)} any more`);
    text = text.replace(from, into);
  };
  swap(
    /^# yaml-language-server.*\n#\n# A gateway that watches.*\n# Copy it.*\n/,
    "# This gateway's configuration. As it comes it watches the machine it runs on, and does nothing but tell.\n" +
      "# Mistakes: holdfast check-config   After a change: systemctl restart holdfast\n" +
      "# Examples: /usr/share/holdfast/examples   Every setting: /usr/share/doc/holdfast/docs/configuration.md\n",
  );
  swap(/name: this-machine/, "name: gateway");
  swap(/, in a folder beside this file;/, ";");
  swap(/directory: \.holdfast/, "directory: /var/lib/holdfast");
  return text;
}

function wrapper(path: string, words: string): void {
  write(path, `#!/bin/sh\nexec ${words} "$@"\n`, 0o755);
}

export function put(from: string, to: string, mode = 0o644): void {
  mkdirSync(dirname(to), { recursive: true });
  copyFileSync(from, to);
  chmodSync(to, mode);
}

export function write(path: string, content: string | Uint8Array, mode = 0o644): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
  chmodSync(path, mode);
}
