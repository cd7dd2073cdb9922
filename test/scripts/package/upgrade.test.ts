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

function run(name: string, args: readonly string[], environment: Record<string, string> = {}, before = ""): Said {
  const text = readFileSync(join(debian, name), "utf8").replaceAll(
    /\/(?=(?:usr|var)\/lib\/holdfast|etc\/holdfast|run\/systemd\/system)/g,
    `${root}/`,
  );
  script(`scripts/${name}`, text.replace(/^#!.*\n/, ""));
  const env = { PATH: `${root}/bin:${process.env["PATH"]}`, ...environment };
  // As the unit's.
  const words = ["-c", `umask 0027; ${before} "$@"`, "sh", join(root, "scripts", name), ...args];
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

test("a full disk keeps no gateway from the version before", () => {
  upgraded();
  // Nothing can be written into a file, as on a full disk.
  const ended = (): Said => run("upgrade-guard", ["ended"], failed, 'trap "" XFSZ; ulimit -f 0;');
  expect([ended().status, ended().status]).toEqual([0, 0]);
  expect(run("launch", ["run"]).out).toBe("new one");
  expect(ended().out).toContain("1.0 runs again");
  expect(run("launch", ["run"]).out).toMatch(/^this one /);
});

test("what a power cut left of the note stops no gateway", () => {
  upgraded();
  rmSync(state("from"));
  expect(run("upgrade-guard", ["ready"]).status).toBe(0);
  for (const status of [0, 0, 0]) expect(run("upgrade-guard", ["ended"], failed).status).toBe(status);
  writeFileSync(state("returned"), "");
  expect(run("launch", ["run"]).out).toBe("this one the installed version did not stay up");
  const unit = readFileSync(join(debian, "holdfast.service"), "utf8");
  expect(unit.match(/^Exec(?:StartPost|StopPost)=.*upgrade-guard/gm)).toHaveLength(2);
  expect(unit).not.toMatch(/^Exec(?:StartPost|StopPost)=(?!-)/m);
});

test("half of the version before, which a power cut left when it was to go, is nothing to go back to", () => {
  upgraded();
  script("bin/rm", `case "$*" in *old*) exit 137 ;; esac; exec /bin/rm "$@"`);
  write("usr/lib/holdfast-previous.old/x", "");
  expect(run("upgrade-guard", ["settle"]).status).not.toBe(0);
  rmSync(join(root, "bin/rm"));
  rmSync(join(root, "usr/lib/holdfast-previous.old"), { recursive: true });
  script("bin/rm", `case "$*" in *upgrade) exit 137 ;; esac; exec /bin/rm "$@"`);
  expect(run("upgrade-guard", ["settle"]).status).not.toBe(0);
  for (const _ of [1, 2, 3, 4]) expect(run("upgrade-guard", ["ended"], failed)).toEqual({ status: 0, out: "" });
  expect(run("launch", ["run"]).out).toBe("new one");
});

test("what a cut left of a version that was to go takes no room beyond the next upgrade", () => {
  write("usr/lib/holdfast-previous.old/bin/node", "");
  upgraded();
  expect(existsSync(join(root, "usr/lib/holdfast-previous.old"))).toBe(false);
});

/** With the programs that a maintainer's script calls, each of which writes down that it was called. */
function withDebian(): void {
  for (const name of [
    "systemd-sysusers",
    "systemd-tmpfiles",
    "deb-systemd-helper",
    "deb-systemd-invoke",
    "install",
    "chown",
    "holdfast",
  ])
    script(`bin/${name}`, `echo "${name} $*" >>"${root}/calls"`);
  script("bin/dpkg-query", "echo 2.0");
  mkdirSync(join(root, "run/systemd/system"), { recursive: true });
  write("etc/holdfast/holdfast.yaml", "");
}

test.each(["configure", "abort-upgrade", "abort-remove", "abort-deconfigure"])(
  "postinst %s leaves a gateway that runs, which prerm had stopped",
  (how) => {
    withDebian();
    expect(run("postinst", [how, "1.0"])).toEqual({ status: 0, out: "" });
    expect(calls()).toContain("deb-systemd-invoke start holdfast.service");
  },
);

test("a removal that is not done after all changes nothing of an upgrade that is on trial", () => {
  upgraded();
  withDebian();
  run("upgrade-guard", ["ended"], failed);
  expect(run("postinst", ["abort-remove"]).status).toBe(0);
  expect([existsSync(state("to")), existsSync(state("failed-1"))]).toEqual([true, true]);
});

test("a gateway whose configuration is somewhere else, and not where the package put it, comes up after an upgrade", () => {
  upgraded();
  withDebian();
  rmSync(join(root, "etc/holdfast/holdfast.yaml"));
  script("bin/chown", 'for last; do :; done; test -e "$last"');
  expect(run("postinst", ["configure", "1.0"]).status).toBe(0);
  expect(calls()).toContain("deb-systemd-invoke start holdfast.service");
});
