// Loaded with `--import` into every process and thread of the program under test, since Node does not take --cpu-prof
// from NODE_OPTIONS: samples from the start and writes a profile at the end.
import { writeFileSync } from "node:fs";
import { Session } from "node:inspector";
import { join } from "node:path";
import { isMainThread, threadId } from "node:worker_threads";
import { type Database, onDatabase } from "./database-hook.ts";

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
  let isWritten = false;
  const write = (): void => {
    if (isWritten) return;
    isWritten = true;
    session.post("Profiler.stop", (error, result) => {
      if (error === null) writeFileSync(join(folder, `${name}.cpuprofile`), JSON.stringify(result.profile));
    });
  };
  process.on("exit", write);
  // A thread that is terminated has no exit; one with a database closes that first.
  if (!isMainThread)
    onDatabase((prototype) => {
      const close = prototype.close;
      prototype.close = function (this: Database) {
        write();
        return close.call(this);
      };
    });
}
