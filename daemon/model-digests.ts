import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Decision } from "../sync/records.ts";
import { generationById } from "./store/queries.ts";

/** Says a model's digest in full where the generation of the decision is at hand: records carry its beginning. */
export function digestFinder(dataDirectory: string): (decision: Decision) => Decision {
  const control = join(dataDirectory, "control.db");
  const known = new Map<string, ReadonlyMap<string, string>>();
  const digestsOf = (generation: string): ReadonlyMap<string, string> => {
    const found = known.get(generation) ?? readDigests(control, generation);
    known.set(generation, found);
    return found;
  };
  return (decision) => {
    const { model } = decision;
    const digest =
      model === undefined ? undefined : digestsOf(decision.generation).get(`${model.name} ${model.version}`);
    return model === undefined || digest === undefined ? decision : { ...decision, model: { ...model, digest } };
  };
}

function readDigests(control: string, generation: string): ReadonlyMap<string, string> {
  const digests = new Map<string, string>();
  if (!existsSync(control)) return digests;
  for (const file of generationById(control, generation)?.files ?? []) {
    if (!file.path.endsWith("manifest.json")) continue;
    const { name, version, digest } = JSON.parse(file.source) as { name: string; version: number; digest: string };
    digests.set(`${name} ${version}`, digest);
  }
  return digests;
}
