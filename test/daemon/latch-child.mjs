// A small daemon that has only a latch: starts, does one thing, tells so, and ends; or dies at a crashpoint on the way.
import { mkdirSync, writeSync } from "node:fs";

const { dist, directory, work, crashpoint } = JSON.parse(process.argv[2]);
const { Store } = await import(`${dist}/daemon/store/store.js`);
const { Latch } = await import(`${dist}/daemon/latch.js`);
const { createFirstLatch } = await import(`${dist}/daemon/latch-file.js`);
const { armCrashpoint } = await import(`${dist}/daemon/crashpoint.js`);
const { systemClock } = await import(`${dist}/daemon/clock.js`);

const clock = systemClock();
const store = new Store(
  { clock, fail: () => process.exit(3) },
  {
    directory,
    writerPath: `${dist}/daemon/store/writer-thread.js`,
    commitDelayMs: 2,
    maxBytes: 8_388_608,
    ballastBytes: 65_536,
    rememberIds: 500,
    retention: { decisionsDays: 90, quietDays: 14, telemetryDays: 365 },
    fingerprint: "machine-1",
  },
);
const signal = new AbortController().signal;
armCrashpoint(crashpoint);
mkdirSync(directory, { recursive: true });
createFirstLatch(directory, clock.wallMs());
await store.start(signal);
const latch = new Latch({
  directory,
  control: store.control,
  clock,
  onChange: () => undefined,
});
await latch.start(signal);
if (work === "stop") await latch.latch("smoke", "maria");
if (work === "release") await latch.release("jan");
const { latched, why, by } = latch.state();
writeSync(1, `${JSON.stringify({ latched, why, by, effects: !latch.isLatched() })}\n`);
await latch.stop();
await store.stop();
