import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, expect, it } from "vitest";
import { EXIT_PROTOCOL, encodeJson, FrameType } from "../../models/host/frames.ts";
import type { Inference, InferenceOptions, InferResult, ModelHandle } from "../../models/inference.ts";
import { ask, hostPath, isAlive, newInference, specOf, until } from "./support.ts";

const running: Inference[] = [];

async function begin(options: Partial<InferenceOptions> = {}, host?: string): Promise<ReturnType<typeof newInference>> {
  const made = newInference(options, host);
  await made.inference.start();
  running.push(made.inference);
  return made;
}

afterEach(async () => {
  await Promise.all(running.splice(0).map((inference) => inference.stop()));
});

const pidOf = (inference: Inference, lane = "main"): number =>
  inference.hosts().find((host) => host.lane === lane)?.pid ?? 0;
const restartsOf = (inference: Inference, lane = "main"): number =>
  inference.hosts().find((host) => host.lane === lane)?.restarts ?? -1;
const FOREVER = 1e9;
const LEAST_INT32 = -(2 ** 31);

it("kills a run that never ends, and puts its model in quarantine after the third; others in both lanes keep answering", async () => {
  const { inference, lines } = await begin();
  const hanging = await inference.load(specOf("hanging", { hardTimeoutMs: 1500 }));
  const neighbour = await inference.load(specOf("linear"));
  const elsewhere = await inference.load(specOf("autoencoder-16", { lane: "safety" }));
  const row = new Array<number>(16).fill(0.1);
  for (let strike = 1; strike <= 3; strike++) {
    let isOver = false;
    const hung = ask(inference, hanging, [FOREVER]).finally(() => {
      isOver = true;
    });
    await new Promise((resolve) => setTimeout(resolve, 30));
    const besides = Promise.all([ask(inference, neighbour, [1, 2]), ask(inference, elsewhere, row)]);
    expect(await ask(inference, elsewhere, row)).toMatchObject({ ok: true });
    expect(isOver, "the other lane answered while the run still hung").toBe(false);
    expect(await hung).toMatchObject({ ok: false, reason: "timeout", detail: "hanging did not answer within 1500 ms" });
    expect(await besides).toMatchObject([{ ok: true }, { ok: true }]);
    expect(inference.status(hanging)?.strikes).toBe(strike);
  }
  expect(inference.status(hanging)).toMatchObject({
    state: "quarantined",
    reason: "3 strikes in 10 minutes, the last: hanging did not answer within 1500 ms",
  });
  expect(await ask(inference, hanging, [1])).toMatchObject({ ok: false, reason: "quarantined" });
  expect(await ask(inference, neighbour, [1, 2])).toMatchObject({ ok: true });
  expect(inference.hosts().map((host) => [host.lane, host.restarts])).toEqual([
    ["main", 3],
    ["safety", 0],
  ]);
  expect(lines.filter((line) => line.message === "host lost, model quarantined").length).toBe(1);
});

it("strikes a model that crashes its host natively", async () => {
  if (process.arch !== "x64") return;
  const { inference } = await begin();
  const crashing = await inference.load(specOf("crashing"));
  const linear = await inference.load(specOf("linear"));
  for (let strike = 1; strike <= 3; strike++) {
    expect(await ask(inference, crashing, [LEAST_INT32, -1])).toMatchObject({
      ok: false,
      reason: "hostDown",
      detail: "it was ended by SIGFPE",
    });
    expect(await ask(inference, linear, [1, 2])).toMatchObject({ ok: true });
  }
  expect(inference.status(crashing)).toMatchObject({ state: "quarantined", strikes: 3 });
  expect(inference.status(linear)).toMatchObject({ state: "ready", strikes: 0 });
});

it("strikes a model whose host gets SIGSEGV while it runs", async () => {
  const { inference } = await begin();
  const hanging = await inference.load(specOf("hanging", { hardTimeoutMs: 60_000 }));
  const hung = ask(inference, hanging, [FOREVER]);
  await new Promise((resolve) => setTimeout(resolve, 50));
  process.kill(pidOf(inference), "SIGSEGV");
  expect(await hung).toMatchObject({ ok: false, reason: "hostDown", detail: "it was ended by SIGSEGV" });
  expect(inference.status(hanging)?.strikes).toBe(1);
});

it("kills a host that takes too much memory and strikes the model that ran", async () => {
  const { inference } = await begin({ memoryBytes: 300 * 1024 * 1024 });
  const hungry = await inference.load(specOf("hungry", { hardTimeoutMs: 20_000 }));
  const linear = await inference.load(specOf("linear"));
  const fed = ask(inference, hungry, [1500]);
  expect(await fed).toMatchObject({
    ok: false,
    reason: "hostDown",
    detail: expect.stringMatching(/^it took \d+ of 300 MB memory$/),
  });
  expect(inference.status(hungry)).toMatchObject({ strikes: 1, reason: expect.stringContaining("memory") });
  expect(await ask(inference, linear, [1, 2])).toMatchObject({ ok: true });
});

it("keeps requests when somebody kills the host from outside, and blames no model", async () => {
  const { inference } = await begin();
  const model = await inference.load(specOf("linear"));
  const before = pidOf(inference);
  const counts = new Map<number, number>();
  const results: InferResult[] = [];
  let asked = 0;
  const killer = setInterval(() => {
    const pid = pidOf(inference);
    if (pid !== 0) process.kill(pid, "SIGKILL");
  });
  const endMs = performance.now() + 1000;
  while (performance.now() < endMs) {
    for (let i = 0; i < 20; i++) {
      const n = asked++;
      inference.submit({
        model,
        row: [n, 0],
        priority: 1,
        deadlineBootMs: performance.now() + 60_000,
        settle: (result) => {
          counts.set(n, (counts.get(n) ?? 0) + 1);
          results.push(result);
          if (result.ok) expect(result.answer.score).toBe(Math.fround(n / 2 + 0.125));
        },
      });
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  clearInterval(killer);
  await until(() => results.length === asked, "all settled", 60_000);
  expect([...counts.values()].every((count) => count === 1)).toBe(true);
  expect(results.every((result) => result.ok)).toBe(true);
  expect(inference.status(model)).toMatchObject({ state: "ready", strikes: 0 });
  expect(pidOf(inference)).not.toBe(before);
  expect(restartsOf(inference)).toBeGreaterThan(0);
});

it("does not let queued requests wait for a lost host beyond their deadline", async () => {
  const { inference } = await begin();
  const hanging = await inference.load(specOf("hanging", { hardTimeoutMs: 2500 }));
  let isOver = false;
  const hung = ask(inference, hanging, [FOREVER]).finally(() => {
    isOver = true;
  });
  await new Promise((resolve) => setTimeout(resolve, 30));
  expect(await ask(inference, hanging, [1], { deadlineMs: 100 })).toMatchObject({ ok: false, reason: "deadline" });
  expect(isOver, "the deadline was told while the run still hung").toBe(false);
  expect(await ask(inference, hanging, [1])).toMatchObject({ ok: true });
  expect(await hung).toMatchObject({ ok: false, reason: "timeout" });
});

it("fails a running request with `deadline` in time and counts no strike, when its run ends after all", async () => {
  const { inference } = await begin();
  const hanging = await inference.load(specOf("hanging", { hardTimeoutMs: 60_000 }));
  expect(await ask(inference, hanging, [1_000_000], { deadlineMs: 50 })).toMatchObject({
    ok: false,
    reason: "deadline",
  });
  expect(await ask(inference, hanging, [1], { deadlineMs: 60_000 })).toMatchObject({ ok: true });
  expect(inference.status(hanging)?.strikes).toBe(0);
});

it("renews an idle host after so many loads", async () => {
  const { inference, lines } = await begin({ recycleAfterLoads: 3 });
  const keep = await inference.load(specOf("linear"));
  const first = pidOf(inference);
  for (let i = 0; i < 4; i++) inference.unload(await inference.load(specOf("double")));
  await until(() => pidOf(inference) !== first && pidOf(inference) !== 0, "another host");
  expect(await ask(inference, keep, [1, 2])).toMatchObject({ ok: true });
  expect(lines.some((line) => line.fields.code === "planned" && line.message === "host ended")).toBe(true);
  await until(() => !isAlive(first), "the first host is gone");
});

it("keeps trying a host that ends at once, ever more slowly, and says why", async () => {
  const folder = mkdtempSync(join(tmpdir(), "hosts-"));
  const fake = join(folder, "fake.mjs");
  writeFileSync(fake, 'console.error("no such library"); process.exitCode = 3;');
  const { inference } = await begin({}, fake);
  const model = inference.add(specOf("linear"));
  await until(() => restartsOf(inference) >= 2, "a second restart");
  expect(inference.hosts()[0]?.reason ?? "it ended with code 3: no such library").toBe(
    "it ended with code 3: no such library",
  );
  expect(inference.status(model)).toMatchObject({ state: "loading", strikes: 0 });
  expect(await ask(inference, model, [1, 2], { deadlineMs: 50 })).toMatchObject({ ok: false, reason: "deadline" });
});

it("ends a host that says nothing, or speaks another protocol version", async () => {
  const folder = mkdtempSync(join(tmpdir(), "hosts-"));
  const silent = join(folder, "silent.mjs");
  writeFileSync(silent, "setInterval(() => {}, 1000);");
  const quiet = await begin({ startTimeoutMs: 300 }, silent);
  quiet.inference.add(specOf("linear"));
  await until(() => restartsOf(quiet.inference) >= 1, "a restart");
  const foreign = join(folder, "foreign.mjs");
  const hello = encodeJson(FrameType.hello, 0, 0, { protocol: 99 }).toString("base64");
  writeFileSync(
    foreign,
    `import { Socket } from "node:net"; const s = new Socket({ fd: 3, readable: true, writable: true });
     s.on("data", () => {}); s.on("end", () => s.destroy()); s.write(Buffer.from("${hello}", "base64"));`,
  );
  const other = await begin({}, foreign);
  other.inference.add(specOf("linear"));
  await until(
    () => other.inference.hosts()[0]?.reason?.includes("another version of the protocol") === true,
    "its reason",
  );
  expect(other.lines.some((line) => line.fields.code === "protocol")).toBe(true);
});

it("a host ends with its own code when the daemon speaks another protocol version", async () => {
  const child = spawn(process.execPath, [hostPath], { stdio: ["ignore", "ignore", "inherit", "pipe"] });
  (child.stdio[3] as NodeJS.WritableStream).write(encodeJson(FrameType.hello, 0, 0, { protocol: 99 }));
  expect(await new Promise((resolve) => child.on("exit", resolve))).toBe(EXIT_PROTOCOL);
});

it("a host ends with its own code at bytes that are no frames", async () => {
  const child = spawn(process.execPath, [hostPath], { stdio: ["ignore", "ignore", "inherit", "pipe"] });
  (child.stdio[3] as NodeJS.WritableStream).write(Buffer.from("GET / HTTP/1.1\r\n\r\n"));
  expect(await new Promise((resolve) => child.on("exit", resolve))).toBe(87);
});

/** A daemon of its own process with one host; says the host's pid, and runs `then` with the model. */
async function daemonWithHost(name: string, then: string): Promise<{ daemon: ReturnType<typeof spawn>; pid: number }> {
  const dist = (path: string): string =>
    JSON.stringify(fileURLToPath(new URL(`../../dist/models/${path}.js`, import.meta.url)));
  const script = `
    import { Inference } from ${dist("inference")};
    import { readManifest } from ${dist("one-model")};
    const directory = ${JSON.stringify(specOf(name).directory)};
    const log = { info() {}, warn() {} };
    const inference = new Inference({ hostPath: ${JSON.stringify(hostPath)}, clock: { bootMs: () => performance.now() }, log });
    await inference.start();
    const manifest = await readManifest(directory);
    const model = await inference.load({ directory, manifest, lane: "main", deadlineMs: 60000, hardTimeoutMs: 60000 });
    ${then}
    setTimeout(() => console.log(inference.hosts()[0].pid), 50);
  `;
  const daemon = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const pid = Number(await new Promise((resolve) => daemon.stdout.once("data", (text) => resolve(String(text)))));
  return { daemon, pid };
}

it("a host outlives signals to the whole unit, is first in line for the kernel's killer, and ends when its daemon is killed", async () => {
  const { daemon, pid } = await daemonWithHost("linear", "");
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.kill(pid, signal);
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(isAlive(pid)).toBe(true);
  expect(Number(readFileSync(`/proc/${pid}/oom_score_adj`, "latin1"))).toBeGreaterThanOrEqual(500);
  daemon.kill("SIGKILL");
  await until(() => !isAlive(pid), "the host ended");
});

it.skipIf(!existsSync("/usr/bin/setpriv"))("a host that hangs does not outlive its daemon", async () => {
  const run =
    "inference.submit({ model, row: [1e9], priority: 0, deadlineBootMs: performance.now() + 60000, settle() {} });";
  const { daemon, pid } = await daemonWithHost("hanging", run);
  expect(isAlive(pid)).toBe(true);
  daemon.kill("SIGKILL");
  await until(() => !isAlive(pid), "the host ended");
});

it("waits for a model no longer than the start timeout when no host comes up", async () => {
  const folder = mkdtempSync(join(tmpdir(), "hosts-"));
  const fake = join(folder, "fake.mjs");
  writeFileSync(fake, 'console.error("no such library"); process.exitCode = 3;');
  const { inference } = await begin({ startTimeoutMs: 2500 }, fake);
  const model = await inference.load(specOf("linear"));
  expect(inference.status(model)).toMatchObject({
    state: "loading",
    reason: "its host was lost: it ended with code 3: no such library",
  });
});

it("settles each of many requests once while hosts hang, crash and are killed", async () => {
  const { inference } = await begin();
  const models: ModelHandle[] = [];
  for (const name of ["linear", "hanging", "crashing"])
    models.push(await inference.load(specOf(name, { hardTimeoutMs: 150 })));
  const counts: number[] = [];
  let n = 0;
  const submit = (model: ModelHandle, row: number[]): void => {
    const id = n++;
    counts[id] = 0;
    inference.submit({
      model,
      row,
      priority: (id % 4) as 0,
      deadlineBootMs: performance.now() + 3000,
      settle: () => void counts[id]!++,
    });
  };
  const [linear, hanging, crashing] = models as [ModelHandle, ModelHandle, ModelHandle];
  for (let round = 0; round < 40; round++) {
    for (let i = 0; i < 30; i++) submit(linear, [i, round]);
    submit(hanging, [round % 10 === 3 ? FOREVER : 1]);
    submit(crashing, round % 10 === 7 ? [LEAST_INT32, -1] : [round, 3]);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await until(() => counts.every((count) => count > 0), "all settled");
  expect(counts.every((count) => count === 1)).toBe(true);
});
