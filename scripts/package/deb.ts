import { createHash } from "node:crypto";
import { chmodSync, lutimesSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import { bytesOf } from "./modules.ts";
import { run } from "./run.ts";
import type { Architecture } from "./runtime.ts";
import { put, write } from "./tree.ts";

const SCRIPTS = ["preinst", "postinst", "prerm", "postrm"];
const DIRECTORY = 0o755;

export interface Deb {
  readonly tree: string;
  readonly root: string;
  readonly architecture: Architecture;
  readonly version: string;
  readonly epochSeconds: number;
  readonly out: string;
}

/** Makes the package of a tree: the same tree gives the same bytes. Returns its file. */
export function makeDeb({ tree, root, architecture, version, epochSeconds, out }: Deb): string {
  const debian = join(root, "scripts/package/debian");
  const files = filesIn(tree);
  write(join(tree, "DEBIAN/control"), control(architecture, version, Math.ceil(bytesOf(tree) / 1024)));
  write(join(tree, "DEBIAN/conffiles"), "/etc/holdfast/holdfast.yaml\n");
  write(join(tree, "DEBIAN/md5sums"), files.map((path) => `${md5(join(tree, path))}  ${path}\n`).join(""));
  for (const script of SCRIPTS) put(join(debian, script), join(tree, "DEBIAN", script), 0o755);
  sameTimes(tree, epochSeconds);
  const file = join(out, `holdfast_${version}_${architecture}.deb`);
  const env = { ...process.env, SOURCE_DATE_EPOCH: String(epochSeconds) };
  // One thread: with several, the bytes depend on how many there are.
  run("dpkg-deb", ["--root-owner-group", "-Zxz", "-z4", "--threads-max=1", "--build", tree, file], { env });
  return file;
}

function control(architecture: Architecture, version: string, kilobytes: number): string {
  return `Package: holdfast
Version: ${version}
Architecture: ${architecture}
Maintainer: Holdfast <maintainers@holdfast.example>
Installed-Size: ${kilobytes}
Pre-Depends: libc6 (>= 2.28)
Depends: libstdc++6 (>= 8), libgcc-s1 | libgcc1, systemd (>= 247), init-system-helpers
Section: misc
Priority: optional
Description: decides on the gateway, and writes every decision down
 Turns sensor events into decisions with ONNX models that run on the gateway,
 acts on them under a policy, works for weeks without a network, and settles
 with the fleet over MQTT when the link returns.
 .
 This package brings its own Node.js. As installed it watches its own machine
 and does nothing but tell; see /etc/holdfast/holdfast.yaml.
`;
}

function filesIn(tree: string, folder = tree): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      return entry.isDirectory() ? filesIn(tree, path) : [relative(tree, path)];
    })
    .sort();
}

function md5(path: string): string {
  return createHash("md5").update(readFileSync(path)).digest("hex");
}

/** The times, and the rights of folders, that a fresh clone would not have from another one. */
function sameTimes(path: string, epochSeconds: number): void {
  if (statSync(path).isDirectory()) {
    chmodSync(path, DIRECTORY);
    for (const name of readdirSync(path)) sameTimes(join(path, name), epochSeconds);
  }
  lutimesSync(path, epochSeconds, epochSeconds);
}
