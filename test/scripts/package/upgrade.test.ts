import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";

const debian = fileURLToPath(new URL("../../../scripts/package/debian", import.meta.url));
let root = "";

/** The machine's folders below one of our own, with this program and programs of systemd that write down their calls. */
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "upgrade-"));
  program("usr/lib/holdfast", "this one");
  for (const name of ["systemctl", "systemd-run"]) {
    script(`bin/${name}`, `echo "${name} $*" >>"${root}/calls"`);
  }
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function script(path: string, text: string): void {
  write(path, `#!/bin/sh\n${text}\n`);
  chmodSync(join(root, path), 0o755);
}

function write(path: string, text: string): void {
  mkdirSync(join(root, path, ".."), { recursive: true });
  writeFileSync(join(root, path), text);
}

function program(folder: string, name: string): void {
  script(`${folder}/bin/node`, `echo "${name} $HOLDFAST_RETURNED"`);
}

interface Said {
  readonly status: number | null;
  readonly out: string;
}

function run(name: string, args: readonly string[], environment: Record<string, string> = {}): Said {
  const text = readFileSync(join(debian, name), "utf8").replaceAll(/\/(?=(?:usr|var)\/lib\/holdfast)/g, `${root}/`);
  script(`scripts/${name}`, text.replace(/^#!.*\n/, ""));
  const env = { PATH: `${root}/bin:${process.env["PATH"]}`, ...environment };
  // As the unit's.
  const words = ["-c", 'umask 0027; "$@"', "sh", join(root, "scripts", name), ...args];
  const { status, stdout, stderr } = spawnSync("sh", words, { env, encoding: "utf8" });
  return { status, out: (stdout + stderr).trim() };
}

const calls = (): string => (existsSync(join(root, "calls")) ? readFileSync(join(root, "calls"), "utf8") : "");
const state = (name: string): string => join(root, "var/lib/holdfast-upgrade", name);
const failed = { SERVICE_RESULT: "exit-code", EXIT_CODE: "exited", EXIT_STATUS: "1" };

/** As preinst and postinst leave it: another program is in place, the one before it beside it. */
function upgraded(): void {
  expect(run("preinst", ["upgrade", "1.0"]).status).toBe(0);
  rmSync(join(root, "usr/lib/holdfast/bin/node"));
  program("usr/lib/holdfast", "new one");
  write("var/lib/holdfast-upgrade/to", "2.0\n");
}

test("the package's program runs, and after an upgrade the new one", () => {
  expect(run("launch", ["status"], { HOLDFAST_RETURNED: "from somewhere else" }).out).toBe("this one");
  upgraded();
  expect(run("launch", ["status"]).out).toBe("new one");
});

test("the version before costs no room while it is kept, and is not changed by what is put over it", () => {
  expect(run("preinst", ["upgrade", "1.0"]).status).toBe(0);
  const kept = join(root, "usr/lib/holdfast-previous/bin/node");
  expect(statSync(kept).ino).toBe(statSync(join(root, "usr/lib/holdfast/bin/node")).ino);
  expect(readFileSync(state("from"), "utf8")).toBe("1.0\n");
});

test("while an upgrade is not finished the version before runs, and says why", () => {
  expect(run("preinst", ["upgrade", "1.0"]).status).toBe(0);
  expect(run("launch", ["run"]).out).toMatch(/^this one the upgrade from 1.0 was cut short: dpkg --configure -a/);
});

test("an upgrade that is begun again after a cut keeps the version that is whole", () => {
  expect(run("preinst", ["upgrade", "1.0"]).status).toBe(0);
  rmSync(join(root, "usr/lib/holdfast/bin/node"));
  program("usr/lib/holdfast", "half of a new one");
  expect(run("preinst", ["upgrade", "1.0"]).status).toBe(0);
  expect(run("launch", ["run"]).out).toMatch(/^this one /);
});

test("a version that ends three times is left for the one before", () => {
  upgraded();
  for (const times of [1, 2]) {
    expect(run("upgrade-guard", ["ended"], failed).out).toContain(`${times} of 3 times before 1.0 runs again`);
    expect(run("launch", ["run"]).out).toBe("new one");
  }
  expect(run("upgrade-guard", ["ended"], failed).out).toMatch(/^<3>holdfast: 2.0 did not stay up .* 1.0 runs again/);
  expect(run("launch", ["run"]).out).toMatch(/^this one 2.0 did not stay up after the upgrade from 1.0/);
  expect(calls()).toBe("");
  // The service's user reads it.
  expect(statSync(state("returned")).mode & 0o777).toBe(0o644);
  // It stays so.
  expect(run("upgrade-guard", ["ended"], failed).out).toBe("");
  expect(run("preinst", ["upgrade", "2.0"]).status).toBe(0);
  expect(run("launch", ["run"]).out).toMatch(/^this one /);
});

test.skipIf(process.geteuid?.() !== 0)(
  "a version that ends since the disk is full is left for the one before too",
  () => {
    upgraded();
    const disk = state("");
    expect(spawnSync("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", disk]).status).toBe(0);
    try {
      write("var/lib/holdfast-upgrade/from", "1.0\n");
      write("var/lib/holdfast-upgrade/to", "2.0\n");
      expect(() => writeFileSync(state("fill"), Buffer.alloc(65_536))).toThrow(
        expect.objectContaining({ code: "ENOSPC" }),
      );
      for (const times of [1, 2])
        expect(run("upgrade-guard", ["ended"], failed).out).toContain(`${times} of 3 times before 1.0 runs again`);
      expect(run("upgrade-guard", ["ended"], failed)).toMatchObject({ status: 0 });
      expect(run("launch", ["run"]).out).toBe("this one the installed version did not stay up");
    } finally {
      spawnSync("umount", [disk]);
    }
  },
);

test("a version that does not take the configuration is left at once, and the one before is started", () => {
  upgraded();
  expect(run("upgrade-guard", ["ended"], { ...failed, EXIT_STATUS: "78" }).status).toBe(0);
  expect(calls()).toBe("systemd-run --quiet --collect --on-active=1 systemctl start holdfast.service\n");
  expect(run("launch", ["run"]).out).toMatch(/^this one /);
});

test("an orderly stop is no failure, and without an upgrade nothing is counted", () => {
  expect(run("upgrade-guard", ["ended"], failed)).toEqual({ status: 0, out: "" });
  upgraded();
  expect(run("upgrade-guard", ["ended"], { ...failed, SERVICE_RESULT: "success" }).status).toBe(0);
  expect(existsSync(state("failed-1"))).toBe(false);
});

test("a version that has stayed up is settled: the one before goes", () => {
  upgraded();
  expect(run("upgrade-guard", ["ready"]).status).toBe(0);
  expect(calls()).toContain("systemd-run --quiet --collect --unit=holdfast-settle --on-active=600");
  expect(run("upgrade-guard", ["settle"]).out).toBe("<6>holdfast: 2.0 has stayed up; 1.0 is no longer kept");
  expect([existsSync(join(root, "usr/lib/holdfast-previous")), existsSync(state("to"))]).toEqual([false, false]);
  expect(run("launch", ["run"]).out).toBe("new one");
});
