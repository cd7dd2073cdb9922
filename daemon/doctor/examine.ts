import { checkIds } from "./catalogue.ts";
import { type Check, within } from "./check.ts";
import type { Finding } from "./finding.ts";
import type { Site } from "./site.ts";

/** Steps come one after the other, the checks of a step together: what measures the disk must have it for itself. */
export type Plan = readonly (readonly Check[])[];

/** All checks of all tracks; findings in the order of the catalogue. `progress` is told what is still being looked at. */
export async function examine(
  site: Site,
  tracks: readonly Plan[],
  progress: (open: readonly string[]) => void = () => undefined,
): Promise<readonly Finding[]> {
  const open = new Set<string>();
  const findings: Finding[] = [];
  const one = async (check: Check): Promise<void> => {
    for (const id of check.tells) open.add(id);
    progress([...open]);
    findings.push(...(await within(check, site)));
    for (const id of check.tells) open.delete(id);
    progress([...open]);
  };
  const track = async (plan: Plan): Promise<void> => {
    for (const step of plan) await Promise.all(step.map(one));
  };
  await Promise.all(tracks.map(track));
  return inOrder(findings);
}

/** Of two findings of one check, the worse one comes first. */
function inOrder(findings: readonly Finding[]): readonly Finding[] {
  const ranks = ["error", "warning", "ok", "skipped"];
  const rank = ({ check, level }: Finding): number => checkIds.indexOf(check) * ranks.length + ranks.indexOf(level);
  return [...findings].sort((a, b) => rank(a) - rank(b));
}
