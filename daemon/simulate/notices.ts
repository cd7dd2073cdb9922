import { layoutOf } from "./layout.ts";
import { type Plant, RELIEF_BAR } from "./plant.ts";

export interface Notice {
  readonly device: string;
  readonly text: string;
}

/** What the plant's own protection did between two moments. */
export function noticesOf(before: Plant, after: Plant): Notice[] {
  const found: Notice[] = [];
  for (const [device, now] of Object.entries(after.compressors)) {
    const then = before.compressors[device];
    if (then?.running !== true || now.running || then.locked || !now.locked) continue;
    const isOverloaded = now.amperes > layoutOf(device).nominalAmperes * 1.3;
    found.push({ device, text: isOverloaded ? "its motor relay trips" : "its pressure switch trips" });
  }
  if (before.receiver.airBar > 1 && after.receiver.airBar === 0 && before.receiver.bar > RELIEF_BAR)
    found.push({ device: "receiver", text: "its relief valve lifts" });
  return found;
}
