import type { RecordKind } from "../../../sync/kinds.ts";
import { eachRecord } from "../acted.ts";

const BESIDE_PASSES: readonly RecordKind[] = [
  ...(["health", "clockSync", "mode", "latch", "approval", "proposal", "drop", "transition"] as const),
  ...(["epochStart", "epochClose"] as const),
];

/** Records that no pass makes, by what they tell. */
export function besidePasses(data: string): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const body of eachRecord(data, BESIDE_PASSES)) {
    const detail = (body["detail"] ?? {}) as { code?: unknown; reason?: unknown };
    const why = [body["what"], detail.code, detail.reason].filter((one) => one !== undefined && one !== detail);
    const name = [String(body["kind"]), ...new Set(why.map(String))].join(", ");
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return counts;
}

/** How many of these records there are. */
export function countOf(counts: ReadonlyMap<string, number>, part = ""): number {
  return [...counts].filter(([name]) => name.includes(part)).reduce((sum, [, n]) => sum + n, 0);
}
