import { chmodSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { program } from "../../../daemon/commands/program.ts";
import type { Check } from "../../../daemon/doctor/check.ts";
import { credentialFinding } from "../../../daemon/doctor/credentials.ts";
import { examine } from "../../../daemon/doctor/examine.ts";
import { ok, problem } from "../../../daemon/doctor/finding.ts";
import { namedFilesOf } from "../../../daemon/doctor/named-files.ts";
import { fakeIo } from "../../support/io.ts";
import { loaded, siteOf } from "./site.ts";

const site = siteOf({ dataDirectory: tmpdir() });
const check = (tells: Check["tells"], look: Check["look"], withinMs = 1000): Check => ({ tells, withinMs, look });

describe("an examination", () => {
  test("goes on where a check throws or does not end, and says so", async () => {
    const began = performance.now();
    const findings = await examine(site, [
      [
        [
          check(["machine.node"], () => new Promise(() => undefined), 20),
          check(["machine.cpu"], () => Promise.reject(new Error("no eyes"))),
          check(["machine.libc"], () => [ok("machine.libc", "glibc")]),
        ],
      ],
    ]);
    expect(findings.map((one) => [one.check, one.level, one.found])).toEqual([
      ["machine.node", "skipped", "no end within 0.02 s"],
      ["machine.cpu", "skipped", "could not look: no eyes"],
      ["machine.libc", "ok", "glibc"],
    ]);
    expect(performance.now() - began).toBeLessThan(5000);
  });

  test("takes the steps of a track one after the other, and tracks beside each other", async () => {
    const seen: string[] = [];
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const step = (name: string, wait?: Promise<void>) =>
      check([], async () => {
        await wait;
        seen.push(name);
        return [];
      });
    const other = check([], () => {
      seen.push("beside");
      release();
      return [];
    });
    await examine(site, [[[step("first", held)], [step("second")]], [[other]]]);
    expect(seen).toEqual(["beside", "first", "second"]);
  });

  test("tells the worst of a check first, and shows what is under way", async () => {
    const shown: string[] = [];
    const bad = problem("storage.inodes", "out", { found: "1", expected: "2", values: { mount: "/" } });
    const findings = await examine(
      site,
      [[[check(["storage.inodes"], () => [ok("storage.inodes", "x"), bad])]]],
      (open) => shown.push(open.join()),
    );
    expect(findings.map(({ level }) => level)).toEqual(["error", "ok"]);
    expect(shown).toEqual(["storage.inodes", ""]);
  });
});

describe("a credential", () => {
  const account = { user: "holdfast", group: "holdfast", uid: 997, gids: [997] };
  const secret = { key: "bus.passwordFile", name: "p", isSecret: true };
  const facts = (mode: number, uid = 0, bytes = 9) => ({
    bytes,
    entries: [
      { path: "/", mode: 0o40755, uid: 0, gid: 0 },
      { path: "/p", mode, uid, gid: 0 },
    ],
  });
  const found = (byManager: boolean, seen: Parameters<typeof credentialFinding>[2], isSecret = true) =>
    credentialFinding({ ...secret, isSecret }, { path: "/p", byManager }, seen, account).problem;

  test("has to be there, with something in it, for the service and nobody else", () => {
    expect(found(false, { entries: undefined, bytes: 0 })).toBe("missing");
    expect(found(false, facts(0o600, 997, 0))).toBe("empty");
    expect(found(false, facts(0o604, 997))).toBe("exposed");
    expect(found(false, facts(0o604, 997), false)).toBeUndefined();
    expect(found(false, facts(0o600))).toBe("unreadable");
    expect(found(true, facts(0o600))).toBeUndefined();
  });

  test("is every file that the configuration names", () => {
    const { config } = loaded(`
bus: { kind: external, url: "mqtts://a", username: u, passwordFile: p1, tls: { caFile: c1, certificateFile: c2, keyFile: k1 } }
fleet: { name: n, brokers: ["mqtts://b"], username: u, passwordFile: p2, tls: { ca: c3, certificate: c4, key: k2 } }
endpoints: { e: { url: "https://c", secretFile: s1, caFile: c5 } }
mail: { host: d, from: a@b, username: u, passwordFile: p3, caFile: c6 }
`);
    const all = namedFilesOf(config);
    expect(all.filter(({ isSecret }) => isSecret).map(({ name }) => name)).toEqual([
      "p1",
      "k1",
      "p2",
      "k2",
      "s1",
      "p3",
    ]);
    expect(all.filter(({ isSecret }) => !isSecret).map(({ name }) => name)).toEqual([
      "c1",
      "c2",
      "c3",
      "c4",
      "c5",
      "c6",
    ]);
  });
});

describe("holdfast doctor", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "holdfast-doctor-"));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  test("tells the mistakes of a file, goes on with the rest, and ends with 1", async () => {
    const file = join(folder, "holdfast.yaml");
    writeFileSync(file, "stroe: {}\n");
    const io = fakeIo();
    expect(await program(["doctor", "--config", file, "--data", folder, "--json"], io)).toBe(1);
    const said = JSON.parse(io.printed()) as {
      ok: boolean;
      counts: Record<string, number>;
      findings: { check: string; problem?: string }[];
    };
    expect(said.ok).toBe(false);
    expect(said.findings.find((one) => one.check === "configuration.mistakes")?.problem).toBe("mistake");
    expect(said.findings.some((one) => one.check === "storage.speed")).toBe(true);
    expect(Object.values(said.counts).reduce((sum, one) => sum + one, 0)).toBe(said.findings.length);
    expect(readdirSync(folder)).toEqual(["holdfast.yaml"]);
  });

  test("is content with a warning, and with --strict is not", async () => {
    const file = join(folder, "holdfast.yaml");
    loaded('bus: { kind: external, url: "mqtt://127.0.0.1:1" }\n', folder);
    writeFileSync(join(folder, "records.db.corrupt-1"), "");
    chmodSync(folder, 0o700);
    const json = async (...more: string[]) => {
      const io = fakeIo();
      const code = await program(["doctor", "--config", file, "--data", folder, "--json", ...more], io);
      return { code, counts: (JSON.parse(io.printed()) as { counts: { error: number; warning: number } }).counts };
    };
    // The broker that is not there is an error either way; without it only warnings are left.
    expect((await json()).code).toBe(1);
    loaded("bus: { kind: embedded, port: 46531 }\n", folder);
    const [usual, strict] = [await json(), await json("--strict")];
    expect([usual.counts.error, usual.counts.warning > 0, usual.code, strict.code]).toEqual([0, true, 0, 1]);
    expect(await program(["doctor", "--nonsense"], fakeIo())).toBe(2);
  });
});
