/** How a simulated actuator is: it does as it is told, says nothing, answers late, or lies. */
export type Manner = "honest" | "silent" | "late" | "boasts" | "denies";

export const LATE_MS = 1100;

/** The manner of the actuator of a key: always the same one. */
export function mannerOf(key: string): Manner {
  const number = Number(key.replace(/\D+/g, ""));
  switch (number % 12) {
    case 3:
      return "silent";
    case 5:
      return "late";
    case 7:
      return "boasts";
    case 9:
      return "denies";
    default:
      return "honest";
  }
}

/** What the actuator says of a command, and when; undefined: nothing. `isDone`: whether it did it. */
export function answerOf(
  manner: Manner,
): { readonly says: boolean; readonly afterMs: number; readonly isDone: boolean } | undefined {
  switch (manner) {
    case "silent":
      return undefined;
    case "late":
      return { says: true, afterMs: LATE_MS, isDone: true };
    case "boasts":
      return { says: true, afterMs: 0, isDone: false };
    case "denies":
      return { says: false, afterMs: 0, isDone: true };
    case "honest":
      return { says: true, afterMs: 0, isDone: true };
  }
}

/** The readings that the interlock wants: most keys are fine, one is never read, one was read once, one says no. */
export function pressureOf(key: string): "fine" | "never" | "once" | "high" {
  const number = Number(key.replace(/\D+/g, ""));
  return (["fine", "never", "once", "high"] as const)[number % 4] as "fine" | "never" | "once" | "high";
}
