import { spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  lchownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { asOwnerOf } from "../../../daemon/backup/owner.ts";
import { childPath } from "../../../daemon/children.ts";
import { temporaryDirectory } from "../store/support.ts";

const ANN = 4242;
let root: string;
let home: string;

describe.skipIf(process.geteuid?.() !== 0)("done by root with folders of another user", () => {
  beforeEach(() => {
    root = temporaryDirectory();
    chmodSync(root, 0o755);
    home = join(root, "ann");
    for (const path of [home, join(home, "data"), join(root, "private")]) mkdirSync(path);
    chmodSync(join(root, "private"), 0o700);
    writeFileSync(join(root, "private", "secret.pub"), "of root");
    for (const path of [home, join(home, "data")]) chownSync(path, ANN, ANN);
  });

  test("is done as that user, also where the directory is just now a link to one of root's", async () => {
    symlinkSync(join(root, "private"), join(home, "link"));
    lchownSync(join(home, "link"), ANN, ANN);
    symlinkSync(join(home, "data"), join(root, "elsewhere"));
    for (const directory of [join(home, "data"), join(home, "link"), join(root, "elsewhere"), join(home, "link/below")])
      expect([directory, await asOwnerOf(directory, async () => process.geteuid?.())]).toEqual([directory, ANN]);
    expect(await asOwnerOf(join(root, "private"), async () => process.geteuid?.())).toBe(0);
    expect(process.geteuid?.()).toBe(0);
  });

  test("a configuration is replaced with the rights of its folder's owner alone", () => {
    const main = join(home, "holdfast.yaml");
    symlinkSync(join(root, "private", "secret.pub"), main);
    const args = ["factory-reset", "--yes", "--config-too", "--config", main, "--data", join(home, "data")];
    const { status, stderr } = spawnSync(process.execPath, [childPath("daemon/main"), ...args], { encoding: "utf8" });
    expect([status, stderr]).toEqual([1, expect.stringContaining("EACCES")]);
    expect(readdirSync(home).filter((name) => name.includes("before"))).toEqual([]);
    expect(readFileSync(join(root, "private", "secret.pub"), "utf8")).toBe("of root");
  });
});
