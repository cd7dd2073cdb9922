import { mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { afterEach, describe, expect, test } from "vitest";
import { acknowledgementPath, LatchReader, latchPath, readLatch, writeLatch } from "../../daemon/latch-file.ts";
import { parseLatch, renderLatch } from "../../daemon/latch-note.ts";
import { until } from "../support/bus.ts";
import { FakeControl } from "../support/control.ts";
import { begin, build, endAll, note, site } from "../support/latch.ts";

afterEach(endAll);

describe("the latch", () => {
  test("is set until the daemon has looked, and not set on a fresh gateway", async () => {
    const at = site();
    expect(build(at).isLatched()).toBe(true);
    const latch = await begin(at);
    expect(latch.isLatched()).toBe(false);
    expect(at.control.meta["latchFile"]).toBe("yes");
    expect(readFileSync(latchPath(at.directory))).toHaveLength(512);
    expect(at.told).toEqual([]);
  });

  test("stops in the same turn of the loop, and lasts in both places", async () => {
    const at = site();
    const latch = await begin(at);
    const stopping = latch.latch("smoke\nin the hall", "maria");
    expect(latch.isLatched()).toBe(true);
    const state = await stopping;
    expect(state).toMatchObject({ latched: true, why: "smoke in the hall", by: "maria" });
    expect(state.reason).toBeUndefined();
    expect(readLatch(latchPath(at.directory))).toMatchObject({ kind: "read", note: { nonce: state.nonce } });
    expect(JSON.parse(at.control.meta["latch"] ?? "")).toMatchObject({ latched: true, nonce: state.nonce });
    const again = await begin({ ...at, told: [] });
    expect(again.isLatched()).toBe(true);
    expect(again.state()).toMatchObject({ why: "smoke in the hall", nonce: state.nonce });
  });

  test("answers who stops or releases when that is in the log, and does not wait for ever for a disk that takes nothing", async () => {
    let write: (() => void) | undefined;
    const at = { ...site(), recorded: () => new Promise<void>((resolve) => (write = resolve)) };
    const latch = await begin(at);
    let answered = 0;
    const answering = latch.latch("smoke", "maria").then((state) => {
      answered += 1;
      return state;
    });
    await until("the record", () => write !== undefined);
    expect([latch.isLatched(), answered]).toEqual([true, 0]);
    write?.();
    const { nonce } = await answering;
    // Nobody writes this one.
    expect(await latch.release("jan", nonce)).toMatchObject({ latched: false });
  });

  test("is released by its nonce only, and a release lasts", async () => {
    const at = site();
    const latch = await begin(at);
    const { nonce } = await latch.latch("smoke", "maria");
    await expect(latch.release("jan", "ffffffffffffffff")).rejects.toMatchObject({ code: "LATCH_NONCE" });
    expect(latch.isLatched()).toBe(true);
    expect(await latch.release("jan", nonce)).toMatchObject({ latched: false, by: "jan", nonce });
    expect(latch.isLatched()).toBe(false);
    expect((await begin(at)).isLatched()).toBe(false);
    expect(at.told.map((one) => [one.latched, one.by])).toEqual([
      [true, "maria"],
      [false, "jan"],
    ]);
  });

  test("stays set when somebody stops while a release is on its way", async () => {
    const at = site();
    const latch = await begin(at);
    await latch.latch("first", "maria");
    at.control.isSlow = true;
    const releasing = latch.release("jan");
    const stopping = latch.latch("second", "maria");
    at.control.letGo();
    await expect(releasing).rejects.toMatchObject({ code: "LATCH_NONCE" });
    await stopping;
    expect(latch.state()).toMatchObject({ latched: true, why: "second" });
    expect(JSON.parse(at.control.meta["latch"] ?? "")).toMatchObject({ latched: true, why: "second" });
    expect(readLatch(latchPath(at.directory))).toMatchObject({ note: { latched: true, why: "second" } });
  });

  test("stays set when a hand writes the file while a release is on its way", async () => {
    const at = site();
    const latch = await begin(at);
    await latch.latch("first", "maria");
    at.control.isSlow = true;
    const releasing = latch.release("jan");
    writeLatch(latchPath(at.directory), note(true));
    at.control.letGo();
    await expect(releasing).rejects.toMatchObject({ code: "LATCH_NONCE" });
    expect(latch.state()).toMatchObject({ latched: true, why: "by hand" });
  });

  test("is not released when control.db can not be written", async () => {
    const at = site();
    const latch = await begin(at);
    await latch.latch("smoke", "maria");
    at.control.isFull = true;
    await expect(latch.release("jan")).rejects.toMatchObject({ code: "LATCH_NOT_RELEASED" });
    expect(latch.isLatched()).toBe(true);
    expect(readLatch(latchPath(at.directory))).toMatchObject({ note: { latched: true } });
  });

  test("is kept by the file alone on a full disk, and by control.db alone without the file", async () => {
    const at = site();
    const latch = await begin(at);
    at.control.isFull = true;
    expect((await latch.latch("full", "maria")).reason).toContain("control.db");
    expect((await begin(at)).state()).toMatchObject({ latched: true, why: "full" });
    const other = site();
    const second = await begin(other);
    rmSync(latchPath(other.directory));
    mkdirSync(latchPath(other.directory));
    const state = await second.latch("no file", "maria");
    expect(state.reason).toContain("latch file");
    expect(state.forgetful).toBeUndefined();
    rmSync(latchPath(other.directory), { recursive: true });
    writeLatch(latchPath(other.directory), note(false));
    expect((await begin(other)).state()).toMatchObject({ latched: true, why: "no file" });
  });

  test("says when nothing keeps it", async () => {
    const at = site();
    const latch = await begin(at);
    rmSync(latchPath(at.directory));
    mkdirSync(latchPath(at.directory));
    at.control.isFull = true;
    expect(await latch.latch("x", "maria")).toMatchObject({ latched: true, forgetful: true });
  });

  test("is acknowledged only when nothing can leave any more", async () => {
    const at = site();
    const latch = await begin(at);
    let settled: () => void = () => undefined;
    latch.settle = () => new Promise((resolve) => (settled = resolve));
    const { nonce } = await latch.latch("smoke", "maria");
    const acknowledged = () => {
      const reading = readLatch(acknowledgementPath(at.directory));
      return reading.kind === "read" && reading.note.nonce === nonce;
    };
    expect(acknowledged()).toBe(false);
    settled();
    await until("the acknowledgement", acknowledged);
  });
});

describe("the latch file", () => {
  test("written by hand is obeyed at the next effect, noticed without one, and acknowledged", async () => {
    const at = site();
    const latch = await begin(at);
    writeLatch(latchPath(at.directory), note(true, "aa112233445566aa"));
    expect(latch.isLatched()).toBe(true);
    expect(at.told).toMatchObject([{ latched: true, why: "by hand", by: "maria", nonce: "aa112233445566aa" }]);
    writeLatch(latchPath(at.directory), note(true, "bb112233445566aa"));
    await until("the second stop", () => {
      const reading = readLatch(acknowledgementPath(at.directory));
      return reading.kind === "read" && reading.note.nonce === "bb112233445566aa";
    });
    expect(at.told).toHaveLength(2);
    expect(JSON.parse(at.control.meta["latch"] ?? "")).toMatchObject({ nonce: "bb112233445566aa" });
  });

  test("that says released does not release what is set", async () => {
    const at = site();
    const latch = await begin(at);
    await latch.latch("smoke", "maria");
    writeLatch(latchPath(at.directory), note(false));
    expect(latch.isLatched(true)).toBe(true);
    expect((await begin(at)).isLatched()).toBe(true);
  });

  test("that comes back as it was before the release stops effects again", async () => {
    const at = site();
    const latch = await begin(at);
    await latch.latch("smoke", "maria");
    const old = readFileSync(latchPath(at.directory));
    await latch.release("jan");
    writeFileSync(latchPath(at.directory), old);
    expect(latch.isLatched()).toBe(true);
    expect(at.told.map((one) => one.latched)).toEqual([true, false, true]);
  });

  test("that is removed or overwritten while it is set is written again", async () => {
    const at = site();
    const latch = await begin(at);
    await latch.latch("smoke", "maria");
    const isThere = () => {
      const reading = readLatch(latchPath(at.directory));
      return reading.kind === "read" && reading.note.why === "smoke";
    };
    rmSync(latchPath(at.directory));
    await until("the file", isThere);
    writeLatch(latchPath(at.directory), note(false));
    await until("the file again", isThere);
    expect(at.told).toHaveLength(1);
  });

  test("decides when control.db is lost, or older", async () => {
    const at = site();
    const latch = await begin(at);
    const older = { ...at.control.meta };
    await latch.latch("smoke", "maria");
    expect((await begin({ ...at, control: new FakeControl() })).state()).toMatchObject({ latched: true, why: "smoke" });
    const restored = new FakeControl();
    Object.assign(restored.meta, older);
    expect((await begin({ ...at, control: restored })).state()).toMatchObject({ latched: true, why: "smoke" });
    expect(JSON.parse(restored.meta["latch"] ?? "")).toMatchObject({ latched: true });
  });

  test("means latched when it is missing and control.db is lost too, but not where there never was one", async () => {
    const at = site();
    await (await begin(at)).stop();
    rmSync(latchPath(at.directory));
    expect((await begin({ ...at, control: new FakeControl() })).state().why).toBe("the latch file is missing");
    rmSync(latchPath(at.directory));
    const older = Object.assign(new FakeControl(), { pointer: "0123456789abcdef" });
    expect((await begin({ ...at, control: older })).isLatched()).toBe(false);
  });

  test("means latched when it is missing, or something else lies in its place", async () => {
    const put: [string, (path: string) => void][] = [
      ["is missing", () => undefined],
      ["EISDIR", (path) => mkdirSync(path)],
      ["ELOOP", (path) => symlinkSync("/etc/passwd", path)],
      ["damaged", (path) => writeFileSync(path, "")],
      ["damaged", (path) => writeFileSync(path, Buffer.concat([renderLatch(note(false)), Buffer.from(" ")]))],
    ];
    for (const [why, place] of put) {
      const running = site();
      const latch = await begin(running);
      rmSync(latchPath(running.directory));
      place(latchPath(running.directory));
      expect(latch.isLatched()).toBe(true);
      expect(running.told).toMatchObject([{ latched: true, by: "holdfast" }]);
      expect(running.told[0]?.why).toContain(why);
      const down = site();
      await (await begin(down)).stop();
      rmSync(latchPath(down.directory));
      place(latchPath(down.directory));
      const again = await begin(down);
      expect(again.isLatched()).toBe(true);
      expect(again.state().why).toContain(why);
    }
  });

  test("truncated to any length means latched", async () => {
    const at = site();
    const path = latchPath(at.directory);
    for (let length = 0; length < 512; length++) {
      writeLatch(path, note(false));
      truncateSync(path, length);
      expect(readLatch(path).kind).toBe("unreadable");
    }
    writeLatch(path, note(false));
    expect(readLatch(path)).toMatchObject({ note: { latched: false } });
  });

  test("is seen as it is at each look, also where it was so before", () => {
    const path = latchPath(site().directory);
    const reader = new LatchReader(path);
    const looks = [note(false), note(false), note(true), undefined, note(true), note(false), undefined, note(false)];
    for (const [at, wanted] of looks.entries()) {
      if (wanted === undefined) truncateSync(path, 100 + at);
      else writeLatch(path, wanted);
      expect(reader.read()).toMatchObject(wanted === undefined ? { kind: "unreadable" } : { note: wanted });
    }
  });

  test("with any bit of any byte flipped means latched", () => {
    const whole = renderLatch(note(false));
    expect(parseLatch(whole)?.latched).toBe(false);
    for (let at = 0; at < whole.length * 8; at++) {
      const bent = Buffer.from(whole);
      bent[at >> 3] = (bent[at >> 3] ?? 0) ^ (1 << (at & 7));
      expect(parseLatch(bent)).toBeUndefined();
    }
  });

  test("torn at any byte between two notes is one of them or means latched", () => {
    const at = site();
    const path = latchPath(at.directory);
    const [before, after] = [renderLatch(note(true, "aaaaaaaaaaaaaaaa")), renderLatch(note(false, "bbbbbbbbbbbbbbbb"))];
    for (let cut = 0; cut <= 512; cut++) {
      const torn = Buffer.concat([before.subarray(0, cut), after.subarray(cut)]);
      writeFileSync(path, torn);
      const reading = readLatch(path);
      if (torn.equals(after)) expect(reading).toMatchObject({ note: { latched: false } });
      else if (torn.equals(before)) expect(reading).toMatchObject({ note: { latched: true } });
      else expect(reading.kind).toBe("unreadable");
    }
  });

  test("holds any text in one block", () => {
    const texts = ["x".repeat(5000), "🧯".repeat(500), '"\\'.repeat(400), "\u0000\n\t", "\ud800 half", "é".repeat(300)];
    for (const text of texts) {
      const block = renderLatch({ latched: true, why: text, by: text, at: 1, nonce: "f".repeat(32) });
      expect(block).toHaveLength(512);
      const path = latchPath(site().directory);
      writeFileSync(path, block);
      expect(readLatch(path)).toMatchObject({ kind: "read", note: { latched: true } });
    }
  });

  test("is written over in place, so that a full disk does not matter", () => {
    const at = site();
    const path = latchPath(at.directory);
    writeLatch(path, note(false));
    renameSync(path, `${path}.kept`);
    writeFileSync(path, "longer than a block".repeat(100));
    writeLatch(path, note(true));
    expect(readFileSync(path)).toHaveLength(512);
    expect(readLatch(path)).toMatchObject({ note: { latched: true } });
  });
});
