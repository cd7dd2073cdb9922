// Loaded with `--import` into every process and thread of the program under test, since Node does not take --cpu-prof
// from NODE_OPTIONS: samples from the start and writes a profile at the end.
import { writeFileSync } from "node:fs";
import { Session } from "node:inspector";
import { join } from "node:path";
import { isMainThread, threadId } from "node:worker_threads";

const folder = process.env.BENCH_PROFILES;
const SAMPLE_EVERY_US = 500;

if (folder !== undefined) {
  const session = new Session();
  session.connect();
  session.post("Profiler.enable");
  session.post("Profiler.setSamplingInterval", { interval: SAMPLE_EVERY_US });
  session.post("Profiler.start");
  const script = (process.argv[1] ?? "").split("/").slice(-3).join("-");
  const name = `${script}-${process.pid}-${isMainThread ? "main" : `thread-${threadId}`}`;
  process.on("exit", () => {
    session.post("Profiler.stop", (error, result) => {
      if (error === null) writeFileSync(join(folder, `${name}.cpuprofile`), JSON.stringify(result.profile));
    });
  });
}
