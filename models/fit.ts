import type { Manifest } from "./manifest.ts";

/** What an agent gives its model, in the agent's order. */
export interface AgentInput {
  readonly name: string;
  readonly unit?: string | undefined;
}

/** Everything that keeps the agent's features from being this model's inputs, a sentence each; none when they fit. */
export function fitModel(manifest: Manifest, given: readonly AgentInput[]): string[] {
  const wanted = manifest.inputs.flatMap((input) => input.features);
  const model = `${manifest.name} ${manifest.version}`;
  const givenNames = given.map((input) => input.name);
  const wantedNames = wanted.map((feature) => feature.name);
  const missing = wantedNames.filter((name) => !givenNames.includes(name));
  const extra = givenNames.filter((name) => !wantedNames.includes(name));
  const problems: string[] = [];
  if (given.length !== wanted.length) {
    problems.push(`The model ${model} takes ${count(wanted.length)}, the agent gives ${given.length}.`);
  }
  if (missing.length > 0) problems.push(`The model ${model} takes ${list(missing)}, which the agent does not give.`);
  if (extra.length > 0) problems.push(`The agent gives ${list(extra)}, which the model ${model} does not take.`);
  if (missing.length === 0 && extra.length === 0 && given.length === wanted.length) {
    const at = wantedNames.findIndex((name, i) => name !== givenNames[i]);
    if (at >= 0) {
      problems.push(
        `The order differs from input ${at + 1} on: the model ${model} takes ${list(wantedNames)}, the agent gives ${list(givenNames)}.`,
      );
    }
  }
  for (const feature of wanted) {
    const unit = given.find((input) => input.name === feature.name)?.unit;
    if (feature.unit !== undefined && unit !== undefined && unit !== feature.unit) {
      problems.push(`The model ${model} was trained with ${feature.name} in ${feature.unit}, the agent gives ${unit}.`);
    }
  }
  return problems;
}

const MOST_NAMES = 20;

function list(names: readonly string[]): string {
  const shown = names.slice(0, MOST_NAMES).join(", ");
  return names.length > MOST_NAMES ? `${shown} and ${names.length - MOST_NAMES} more` : shown;
}

function count(n: number): string {
  return n === 1 ? "1 feature" : `${n} features`;
}
