import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  increase,
  parseSnapshot,
  type VitalName,
  type VitalTexts,
  vitalNames,
  vitalsBetween,
} from "../../../daemon/sources/vitals-parse.ts";

const NOTHING: VitalTexts = {
  stat: undefined,
  loadavg: undefined,
  meminfo: undefined,
  vmstat: undefined,
  pressureCpu: undefined,
  pressureMemory: undefined,
  pressureIo: undefined,
  diskstats: undefined,
  netDev: undefined,
  temperatures: [],
};

function between(before: Partial<VitalTexts>, now: Partial<VitalTexts>, elapsedMs = 1000): Record<VitalName, number> {
  const disks = new Set(["sda"]);
  const moment = (texts: Partial<VitalTexts>, bootMs: number) =>
    parseSnapshot({ ...NOTHING, ...texts }, { bootMs, diskFreePercent: undefined, loopDelayMs: undefined }, disks);
  const values = vitalsBetween(moment(before, 5000), moment(now, 5000 + elapsedMs));
  return Object.fromEntries(vitalNames.map((name, i) => [name, values[i]])) as Record<VitalName, number>;
}

const stat = (user: number, idle: number, iowait: number) =>
  `cpu  ${user} 0 0 ${idle} ${iowait} 0 0 0 0 0\ncpu0 ${user} 0 0 ${idle} ${iowait} 0 0 0 0 0\nctxt 5\n`;
const disk = (busyMs: number) => `   8       0 sda 10 0 80 5 0 0 0 0 0 ${busyMs} 5 0 0 0 0 0 0\n`;
const pressure = (us: number) =>
  `some avg10=99.00 avg60=0.00 avg300=0.00 total=${us}\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n`;

describe("vitals between two moments", () => {
  it("are all absent on a machine without any of the files", () => {
    expect(Object.values(between({}, {})).every(Number.isNaN)).toBe(true);
  });

  it("leave out only what is missing", () => {
    const vitals = between({ stat: stat(10, 10, 0) }, { stat: stat(20, 40, 0) });
    expect(vitals.cpu_busy).toBeCloseTo(25);
    expect(vitals.psi_cpu).toBeNaN();
    expect(vitals.temperature).toBeNaN();
  });

  it("take a file that appeared in between as one without a past", () => {
    expect(between({}, { pressureIo: pressure(500_000) }).psi_io).toBeNaN();
  });

  it("measure pressure over the interval, not over the kernel's ten seconds", () => {
    expect(between({ pressureIo: pressure(1_000_000) }, { pressureIo: pressure(1_250_000) }).psi_io).toBeCloseTo(25);
  });

  it("take an iowait that stepped back for no time at all", () => {
    const vitals = between({ stat: stat(100, 100, 50) }, { stat: stat(150, 150, 40) });
    expect(vitals.cpu_iowait).toBe(0);
    expect(vitals.cpu_busy).toBeCloseTo(50);
  });

  it("go on over the end of a 32-bit counter", () => {
    expect(between({ diskstats: disk(2 ** 32 - 96) }, { diskstats: disk(4) }).disk_busy).toBeCloseTo(10);
  });

  it("are absent when a counter was set back", () => {
    const net = (errors: number) => `eth0: 1 1 ${errors} 0 0 0 0 0 1 1 0 0 0 0 0 0\n`;
    expect(between({ netDev: net(1000) }, { netDev: net(3) }).network_errors).toBeNaN();
  });

  it("never leave their range, whatever the kernel says", () => {
    expect(between({ diskstats: disk(0) }, { diskstats: disk(1500) }).disk_busy).toBe(100);
    expect(between({ pressureIo: pressure(0) }, { pressureIo: pressure(1_200_000) }).psi_io).toBe(100);
  });

  it("have no rate when no time went by", () => {
    expect(between({ pressureIo: pressure(0) }, { pressureIo: pressure(10) }, 0).psi_io).toBeNaN();
  });

  it("call swap unused where there is none", () => {
    expect(
      between({}, { meminfo: "MemTotal: 1000 kB\nMemAvailable: 400 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n" }).swap_used,
    ).toBe(0);
  });

  it("know the one refault counter of older kernels", () => {
    const vitals = between(
      { vmstat: "pgmajfault 1\nworkingset_refault 5\n" },
      { vmstat: "pgmajfault 1\nworkingset_refault 25\n" },
    );
    expect(vitals.memory_refaults).toBeCloseTo(20);
  });

  it("leave out sensors that say what no machine can be", () => {
    expect(between({}, { temperatures: ["-273150\n", "61500\n", "", "900000\n"] }).temperature).toBeCloseTo(61.5);
  });

  it("survive files with anything in them", () => {
    const text = fc.option(
      fc.oneof(fc.string(), fc.constantFrom("cpu ", "cpu  x y\ncpu0\n", "some total=", "a b sda c", "eth0:")),
      { nil: undefined },
    );
    const texts = fc.record({
      stat: text,
      loadavg: text,
      meminfo: text,
      vmstat: text,
      pressureCpu: text,
      pressureMemory: text,
      pressureIo: text,
      diskstats: text,
      netDev: text,
      temperatures: fc.array(fc.string(), { maxLength: 3 }),
    });
    fc.assert(
      fc.property(texts, texts, (before, now) => {
        for (const value of Object.values(between(before, now)))
          expect(Number.isNaN(value) || Number.isFinite(value)).toBe(true);
      }),
    );
  });
});

describe("growth of a counter", () => {
  it("is the difference, or what is left to the end plus the rest, or nothing", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 32 - 1 }), fc.integer({ min: 0, max: 2 ** 30 }), (before, growth) => {
        expect(increase(before, before + growth)).toBe(growth);
        expect(increase(before, (before + growth) % 2 ** 32)).toBe(growth);
      }),
    );
    expect(increase(2 ** 40, 7)).toBeNaN();
  });
});
