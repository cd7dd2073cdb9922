/** The one point at which this process is to die, and the visit that is meant; set by tests alone. */
let armed: { name: string; visitsLeft: number } | undefined;

/** Arms a crash: `"commit.before"` dies at the first visit, `"commit.before:3"` at the third. */
export function armCrashpoint(text: string | undefined): void {
  if (text === undefined || text === "") {
    armed = undefined;
    return;
  }
  const [name = "", visit = "1"] = text.split(":");
  armed = { name, visitsLeft: Number(visit) };
}

/** Stands before and after every durable act. Does nothing, unless a test wants to know what a power cut here costs. */
export function crashpoint(name: string): void {
  if (armed === undefined || armed.name !== name) return;
  armed.visitsLeft -= 1;
  if (armed.visitsLeft > 0) return;
  process.kill(process.pid, "SIGKILL");
  // SIGKILL is delivered asynchronously to the other threads; this one must not go on.
  for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000);
}
