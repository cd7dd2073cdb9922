import { execFileSync, spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { CACHE } from "../service/machine.ts";

const SUITE = "bookworm";
const EMULATOR = "qemu-aarch64-static";
/** Where the kernel calls the emulator: in the foreign root itself, so that its programs call each other. */
const INSIDE = `/usr/bin/${EMULATOR}`;
const FORMATS = "/proc/sys/fs/binfmt_misc";
const FORMAT = "holdfast-trial-aarch64";
/** ELF for aarch64: https://docs.kernel.org/admin-guide/binfmt-misc.html; F: opened now, so that every root has it. */
const MAGIC = "\\x7fELF\\x02\\x01\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x02\\x00\\xb7\\x00";
const MASK = "\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\x00\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xfe\\xff\\xff\\xff";

/** Programs that are not here, of those that a machine of the other kind needs. */
export function missingForForeign(): string[] {
  return ["debootstrap", EMULATOR, "unshare", "chroot"].filter(
    (name) => spawnSync("sh", ["-c", `command -v ${name}`]).status !== 0,
  );
}

/** From now on this kernel runs programs for arm64; gives what takes that back. */
export function emulate(): () => void {
  const has = (): boolean => existsSync(join(FORMATS, "register"));
  if (!has()) execFileSync("mount", ["-t", "binfmt_misc", "none", FORMATS]);
  if (existsSync(join(FORMATS, FORMAT))) return () => undefined;
  const path = execFileSync("sh", ["-c", `command -v ${EMULATOR}`], { encoding: "utf8" }).trim();
  const line = `:${FORMAT}:M::${MAGIC}:${MASK}:${path}:F`;
  execFileSync("sh", ["-c", `printf '%s' "$1" > ${FORMATS}/register`, "sh", line]);
  return () => void spawnSync("sh", ["-c", `echo -1 > ${FORMATS}/${FORMAT}`]);
}

/** Makes the root while there still is a network: in one of the trial's own there is none. */
export function prepareForeign(say: (line: string) => void): void {
  if (missingForForeign().length > 0 || existsSync(join(CACHE, `${SUITE}-arm64`))) return;
  say("a Debian for arm64: many minutes, the first time");
  const takeBack = emulate();
  try {
    foreignRoot(resolve(CACHE));
  } finally {
    takeBack();
  }
}

/** A Debian for arm64, made once and kept in `cache`; many minutes the first time. Needs `emulate`. */
export function foreignRoot(cache: string): string {
  const root = join(cache, `${SUITE}-arm64`);
  if (existsSync(root)) return root;
  mkdirSync(cache, { recursive: true });
  const unfinished = `${root}.unfinished`;
  rmSync(unfinished, { recursive: true, force: true });
  const quiet = { stdio: "ignore" } as const;
  const parts = "--include=systemd,libstdc++6,init-system-helpers";
  execFileSync("debootstrap", ["--variant=minbase", "--arch=arm64", "--foreign", parts, SUITE, unfinished], quiet);
  copyFileSync(`/usr/bin/${EMULATOR}`, join(unfinished, INSIDE));
  execFileSync("chroot", [unfinished, "/debootstrap/debootstrap", "--second-stage"], quiet);
  renameSync(unfinished, root);
  return root;
}
