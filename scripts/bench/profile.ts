import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

interface ProfileNode {
  readonly id: number;
  readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  readonly positionTicks?: readonly { readonly line: number; readonly ticks: number }[];
}

interface Profile {
  readonly nodes: readonly ProfileNode[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

/** Where the time went in each profile of a folder: functions by their own time, without what they called. */
export function printProfiles(folder: string, options: { readonly top: string; readonly lines?: boolean }): void {
  for (const name of readdirSync(folder).sort()) {
    if (!name.endsWith(".cpuprofile")) continue;
    const profile = JSON.parse(readFileSync(join(folder, name), "utf8")) as Profile;
    const costs = options.lines ? lineCosts(profile) : functionCosts(profile);
    const busyUs = [...costs].reduce((sum, [place, us]) => sum + (place.startsWith("(idle)") ? 0 : us), 0);
    console.log(`\n${name}: ${(busyUs / 1e6).toFixed(2)} s busy`);
    const sorted = [...costs].filter(([place]) => !place.startsWith("(idle)")).sort((a, b) => b[1] - a[1]);
    for (const [place, us] of sorted.slice(0, Number(options.top))) {
      console.log(
        `${((100 * us) / busyUs).toFixed(1).padStart(5)} %  ${(us / 1000).toFixed(0).padStart(6)} ms  ${place}`,
      );
    }
  }
}

/** Time of each node: the samples that ended in it. */
function nodeTimes(profile: Profile): Map<number, number> {
  const times = new Map<number, number>();
  for (const [at, id] of profile.samples.entries()) times.set(id, (times.get(id) ?? 0) + (profile.timeDeltas[at] ?? 0));
  return times;
}

function functionCosts(profile: Profile): Map<string, number> {
  const times = nodeTimes(profile);
  const costs = new Map<string, number>();
  for (const node of profile.nodes) {
    const { functionName, lineNumber } = node.callFrame;
    const place = `${functionName || "(anonymous)"}${placeOf(node, lineNumber + 1)}`;
    costs.set(place, (costs.get(place) ?? 0) + (times.get(node.id) ?? 0));
  }
  return costs;
}

function lineCosts(profile: Profile): Map<string, number> {
  const times = nodeTimes(profile);
  const costs = new Map<string, number>();
  for (const node of profile.nodes) {
    const us = times.get(node.id) ?? 0;
    const ticks = node.positionTicks ?? [];
    const all = ticks.reduce((sum, line) => sum + line.ticks, 0);
    for (const { line, ticks: own } of all === 0 ? [{ line: node.callFrame.lineNumber + 1, ticks: 1 }] : ticks) {
      const place = `${node.callFrame.functionName || "(anonymous)"}${placeOf(node, line)}`;
      costs.set(place, (costs.get(place) ?? 0) + (us * own) / (all || 1));
    }
  }
  return costs;
}

function placeOf(node: ProfileNode, line: number): string {
  const { url } = node.callFrame;
  if (url === "") return "";
  return ` ${url.replace(/^file:\/\//, "").replace(/^.*\/(?=dist\/|node_modules\/)/, "")}:${line}`;
}
