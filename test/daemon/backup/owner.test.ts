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
import { bytesOf } from "../../../daemon/backup/archive.ts";
import { collectData } from "../../../daemon/backup/collect.ts";
import { asOwnerOf } from "../../../daemon/backup/owner.ts";
import { childPath } from "../../../daemon/children.ts";
import { credentialText } from "../../../daemon/doctor/credentials.ts";
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

  test("a password is read as the daemon reads it, but for those that systemd gives it", () => {
    const path = join(root, "private", "secret.pub");
    const site = { account: { user: "ann", group: "ann", uid: ANN, gids: [ANN] }, isRoot: true };
    expect(credentialText({ path, byManager: false }, site)).toBeUndefined();
    expect(credentialText({ path, byManager: true }, site)).toBe("of root");
    chmodSync(join(root, "private"), 0o755);
    expect(credentialText({ path, byManager: false }, site)).toBe("of root");
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

  test("a backup has no file that this user may not read", async () => {
    const data = join(home, "data");
    const model = join(data, "models", "a".repeat(64));
    mkdirSync(model, { recursive: true });
    writeFileSync(join(model, "model.onnx"), Buffer.alloc(2_000_000));
    writeFileSync(join(data, "gateway.pub"), "own");
    for (const path of [join(data, "models"), model]) chownSync(path, ANN, ANN);
    chownSync(join(data, "gateway.pub"), 0, 0);
    chmodSync(join(data, "gateway.pub"), 0o600);
    expect(() => collectData(data, false)).toThrow(expect.objectContaining({ code: "EACCES" }));
    chownSync(join(data, "gateway.pub"), ANN, ANN);
    const large = collectData(data, false).sources.find(({ path }) => path.endsWith("model.onnx"));
    chownSync(join(model, "model.onnx"), 0, 0);
    chmodSync(join(model, "model.onnx"), 0o600);
    expect(() => bytesOf(large ?? { from: "" })).toThrow(expect.objectContaining({ code: "EACCES" }));
  });
});
