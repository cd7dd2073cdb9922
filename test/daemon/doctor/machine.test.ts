import { describe, expect, test } from "vitest";
import {
  architectureFinding,
  clockFinding,
  clockSyncFinding,
  cpuFinding,
  libcFinding,
  memoryFinding,
  memoryLimitFinding,
  nodeFinding,
} from "../../../daemon/doctor/machine.ts";

const NOW = Date.UTC(2026, 5, 1);
const HOUR = 3_600_000;

describe("of the machine, doctor", () => {
  test.each([
    ["v20.17.0", ">=20.17 <24.19", "ok"],
    ["v24.18.9", ">=20.17 <24.19", "ok"],
    ["v24.19.0", ">=20.17 <24.19", "error"],
    ["v20.9.0", ">=20.17 <24.19", "error"],
    ["v24.21.0", "24.21.0", "ok"],
    ["v24.21.1", "24.21.0", "error"],
    ["v24.21.1", "latest", "error"],
  ])("holds Node %s against %s: %s", (version, range, level) => {
    expect(nodeFinding(version, range).level).toBe(level);
  });

  test("skips a version that nothing is said of", () => {
    expect(nodeFinding("v20.0.0", undefined).level).toBe("skipped");
  });

  test("takes amd64 and arm64, and no other", () => {
    expect(["x64", "arm64", "arm", "ia32"].map((one) => architectureFinding(one).level)).toEqual([
      "ok",
      "ok",
      "error",
      "error",
    ]);
  });

  test("warns of a processor without the instructions that inference uses", () => {
    expect(cpuFinding("x64", "flags\t\t: fpu sse2 avx2 fma\n").found).toBe("avx2 fma");
    expect(cpuFinding("x64", "flags\t\t: fpu sse2\n").problem).toBe("slow");
    expect(cpuFinding("arm64", "Features\t: fp asimd crc32\n").level).toBe("ok");
    expect(cpuFinding("arm64", "").level).toBe("skipped");
  });

  test("wants glibc, 2.34 or later", () => {
    expect(["2.36", "2.34", "2.4", "2.31", undefined].map((one) => libcFinding(one).level)).toEqual([
      "ok",
      "ok",
      "error",
      "error",
      "error",
    ]);
  });

  test("finds a clock that can not be right, by the year and by the log", () => {
    expect(clockFinding(NOW, undefined).level).toBe("ok");
    expect(clockFinding(0, undefined).problem).toBe("implausible");
    expect(clockFinding(Date.UTC(2101, 0, 1), undefined).problem).toBe("implausible");
    expect(clockFinding(NOW, NOW + HOUR).level).toBe("ok");
    expect(clockFinding(NOW, NOW + HOUR + 1).problem).toBe("implausible");
    // A record from a clock that ran far ahead is no measure.
    expect(clockFinding(NOW, Date.UTC(2150, 0, 1)).level).toBe("ok");
  });

  test("says that it can not be told whether the clock is synchronised", () => {
    expect(clockSyncFinding(true, undefined).level).toBe("ok");
    expect(clockSyncFinding(false, "yes").level).toBe("ok");
    expect(clockSyncFinding(false, "no").problem).toBe("unsynchronised");
    expect(clockSyncFinding(false, undefined).level).toBe("skipped");
  });

  test.each([
    [196_608, "ok"],
    [196_607, "warning"],
    [65_536, "warning"],
    [65_535, "error"],
  ])("with %i kB available says %s", (kibibytes, level) => {
    const text = `MemTotal: 1000000 kB\nMemAvailable:   ${kibibytes} kB\nSwapFree: 2048 kB\n`;
    expect(memoryFinding(text)).toMatchObject({ level, found: expect.stringContaining("2 MiB of swap") });
  });

  test("holds the service's memory against its hosts, one a lane in use", () => {
    const hosts = { memoryMb: 512, lanes: { background: { memoryMb: 256 } }, used: ["main", "background"] };
    expect(memoryLimitFinding(["infinity", "infinity"], hosts).level).toBe("ok");
    expect(memoryLimitFinding([String(960 * 1_048_576)], hosts).level).toBe("ok");
    expect(memoryLimitFinding([String(960 * 1_048_576 - 1)], hosts).todo).toContain("MemoryMax=960M");
    expect(memoryLimitFinding(["infinity", "1048576"], hosts).problem).toBe("tight");
  });
});
