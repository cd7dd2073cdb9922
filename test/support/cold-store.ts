import { ColdStore, type Happening } from "../../daemon/simulate/cold-store.ts";

/** A plant whose time is in the test's hands, with all that it said and published. */
export function createRig(choice: ConstructorParameters<typeof ColdStore>[1]) {
  const messages: { topic: string; payload: string }[] = [];
  const said: Happening[] = [];
  const store: ColdStore = new ColdStore(
    {
      wallMs: () => store.elapsedMs,
      publish: (topic, payload) => messages.push({ topic, payload }),
      say: (happening) => said.push(happening),
    },
    choice,
  );
  const of = (topic: string): Record<string, unknown>[] =>
    messages
      .filter((message) => message.topic === topic && !message.payload.includes("NaN"))
      .map(({ payload }) => JSON.parse(payload) as Record<string, unknown>);
  const later = (ms: number): void => store.advance(store.elapsedMs + ms);
  return {
    store,
    messages,
    said,
    of,
    later,
    last: (topic: string) => of(topic).at(-1),
    untilRunning(compressor: string): void {
      for (let at = 0; at < 300 && store.plant.compressors[compressor]?.running !== true; at += 1) later(100);
      // And its current has come up.
      later(2000);
    },
  };
}
