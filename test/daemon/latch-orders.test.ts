import { rmSync, writeFileSync } from "node:fs";
import fc from "fast-check";
import { afterEach, expect, test } from "vitest";
import { latchPath, writeLatch } from "../../daemon/latch-file.ts";
import { FakeControl } from "../support/control.ts";
import { begin, endAll, note, site } from "../support/latch.ts";

afterEach(endAll);

type Step =
  | "stop"
  | "hand"
  | "release"
  | "full"
  | "room"
  | "restart"
  | "remove"
  | "damage"
  | "older control.db"
  | "no control.db";
const steps: readonly Step[] = [
  ...(["stop", "hand", "release", "full", "room", "restart", "remove", "damage"] as const),
  ...(["older control.db", "no control.db"] as const),
];

test("whatever happens in whatever order, only a release that was told to be one lets effects leave", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.constantFrom(...steps), { maxLength: 12 }), async (happens) => {
      const at = site();
      const older = { ...at.control.meta };
      let latch = await begin(at);
      Object.assign(older, at.control.meta);
      let control = at.control;
      let isStopped = false;
      const again = async (next: FakeControl): Promise<void> => {
        await latch.stop();
        control = next;
        latch = await begin({ ...at, control });
      };
      for (const step of happens) {
        const path = latchPath(at.directory);
        if (step === "stop") isStopped = (await latch.latch("x", "maria")).latched;
        if (step === "hand") {
          writeLatch(path, note(true));
          isStopped = true;
        }
        if (step === "release")
          isStopped = await latch.release("jan").then(
            (state) => state.latched,
            () => true,
          );
        if (step === "full" || step === "room") control.isFull = step === "full";
        if (step === "restart") await again(control);
        if (step === "remove" || step === "damage") {
          if (step === "remove") rmSync(path, { force: true });
          else writeFileSync(path, "?");
          isStopped = true;
          expect(latch.isLatched()).toBe(true);
        }
        if (step === "older control.db") await again(Object.assign(new FakeControl(), { meta: { ...older } }));
        if (step === "no control.db") await again(new FakeControl());
        if (isStopped) expect(latch.isLatched(true)).toBe(true);
      }
      await latch.stop();
    }),
    { numRuns: 300 },
  );
});
