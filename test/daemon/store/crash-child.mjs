// A small daemon that only writes: tells each row that it was told is on disk. Killed by its parent, or by a crashpoint.
import { writeSync } from "node:fs";
import { performance } from "node:perf_hooks";

const { dist, directory, crashpoint, rows } = JSON.parse(process.argv[2]);
const { Store } = await import(`${dist}/daemon/store/store.js`);
const { createIds } = await import(`${dist}/daemon/ids.js`);
const clock = {
  bootId: "boot",
  wallMs: () => Date.now() + aheadMs,
  bootMs: () => performance.now() + aheadMs,
  trust: () => "unknown",
};
let aheadMs = 0;
const store = new Store(
  { clock, fail: () => process.exit(3) },
  {
    directory,
    writerPath: `${dist}/daemon/store/writer-thread.js`,
    commitDelayMs: 2,
    maxBytes: 1_200_000,
    ballastBytes: 65_536,
    rememberIds: 500,
    retention: { decisionsDays: 90, quietDays: 14, telemetryDays: 365 },
    fingerprint: "machine-1",
    faults: { crashpoint },
  },
);
await store.start(new AbortController().signal);
const newId = createIds();
const agent = store.agentNumber("pump");
for (let at = 0; at < rows; at++) {
  const wallMs = clock.wallMs();
  const id = newId(wallMs);
  const body = JSON.stringify({ v: 1, kind: "decision", id, agent: "pump", at, text: "x".repeat(300) });
  store.append({ stream: 1 + (at % 2), kind: "decision", agent, id, wallMs, body });
  store.count("pump", "decided", 1, wallMs);
  store.project({ kind: "seenId", agent, id });
  store.onDurable(() => tell(`${id}\n`));
  if (at % 20 === 19) {
    store.commitNow();
    await new Promise((resolve) => setImmediate(resolve));
  }
  while (store.room() < 8000) await new Promise((resolve) => setTimeout(resolve, 1));
  if (at % 400 === 399) {
    aheadMs += 61_000;
    store.minute();
  }
}
await store.flush();
await store.stop();

/** The parent may be slow to read; a line of 37 bytes goes into a pipe whole or not at all. */
function tell(line) {
  for (;;) {
    try {
      writeSync(1, line);
      return;
    } catch (error) {
      if (error.code !== "EAGAIN") throw error;
    }
  }
}
