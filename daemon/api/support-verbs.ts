import { z } from "zod";
import type { Store } from "../store/store.ts";
import type { SupportBundle } from "../support/bundle.ts";
import type { AsPerson } from "./as-person.ts";
import type { Verb } from "./control-server.ts";

interface Deps {
  readonly bundle: () => Promise<SupportBundle>;
  readonly store: Pick<Store, "append">;
}

/** The stream that a full store gives up first. */
const TELEMETRY = 3;

/** Asked from afar a bundle goes up as a record, by whoever may ask anything: it has nothing that status does not show. */
export function supportVerbs({ bundle, store }: Deps, asPerson: AsPerson): Readonly<Record<string, Verb>> {
  return {
    supportBundle: asPerson("supportBundle", z.object({}), async () => {
      const made = await bundle();
      const { id, at } = made;
      store.append({ stream: TELEMETRY, kind: "support", agent: 0, id, wallMs: at, body: JSON.stringify(made) });
      return { state: id };
    }),
  };
}
