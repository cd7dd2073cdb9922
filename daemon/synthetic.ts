import type { Answer } from "../models/inference.ts";
import { type Declarations, type Declared, type Moment, NEVER_FIRED_SECONDS } from "./expression-names.ts";

type Level = 0 | 1 | 2 | 3;
const LEVELS: readonly Level[] = [0, 1, 2, 3];
const MIXES = 8;
/** 2026-01-01T00:00:00Z. */
const SOME_DAY_MS = 1_767_225_600_000;
const HOUR_MS = 3_600_000;

/**
 * Made-up passes over declared ranges: all values at their least, greatest, middle and a typical place, then mixes of
 * these, so that two values with the same range are not always equal. In the last one all that may be missing is.
 */
export function syntheticMoments(declarations: Declarations): Moment[] {
  const even = LEVELS.map((level) => momentOf(declarations, () => level, false));
  const mixed = Array.from({ length: MIXES }, (_, mix) =>
    momentOf(declarations, (at) => ((at * 7 + mix * 3 + (at >> 2)) % 4) as Level, false),
  );
  return [...even, ...mixed, momentOf(declarations, () => 3, true)];
}

function momentOf(declarations: Declarations, levelAt: (at: number) => Level, withoutOptional: boolean): Moment {
  let at = 0;
  const value = (declared: Declared) => {
    const given = madeUp(declared, levelAt(at), at);
    at += 1;
    return withoutOptional && declared.optional === true ? undefined : given;
  };
  // A row with holes is what agents have for fields that may be missing.
  const row = (all: readonly Declared[]) => all.map(value) as (number | string | boolean)[];
  const fields = row(declarations.fields);
  const features = row(declarations.features);
  const answer = Object.fromEntries(declarations.answer.map((output) => [output.name, value(output)])) as Answer;
  const level = levelAt(at);
  const nowMs = SOME_DAY_MS + level * 7 * HOUR_MS;
  return {
    pass: {
      key: ["pump-1", "a", "site/1/line/2", "é"][level] as string,
      eventId: withoutOptional ? undefined : `event-${level}`,
      eventTimeMs: nowMs - 500,
      fields,
      row: features,
      coverage: [0, 1, 0.5, 0.9][level] as number,
      windowCount: [1, 3600, 100, 30][level] as number,
    },
    answer,
    state: {
      sinceLastFiredSeconds: [0, NEVER_FIRED_SECONDS, 60, 3600][level] as number,
      firing: level % 2 === 1,
      passes: [1, 1_000_000, 100, 2][level] as number,
    },
    nowMs,
    payload: undefined,
  };
}

function madeUp(declared: Declared, level: Level, at: number): number | string | boolean | number[] {
  switch (declared.type) {
    case "boolean":
      return (level + at) % 2 === 0;
    case "text": {
      const texts = declared.values ?? ["", "text", "1", "é"];
      return texts[level % Math.max(1, texts.length)] ?? "";
    }
    case "numbers":
      return Array.from({ length: declared.width ?? 1 }, (_, item) =>
        numberAt(declared, ((level + item) % 4) as Level, at),
      );
    default:
      return numberAt(declared, level, at);
  }
}

const SPREAD = 100;

/** Without a range: positive numbers, no two names alike. What can be negative or zero says so by its range. */
function numberAt({ min, max }: Declared, level: Level, at: number): number {
  const unknown = min === undefined && max === undefined;
  const low = min ?? (max === undefined ? 1 + at * 0.37 : max - SPREAD);
  const high = max ?? (unknown ? low * SPREAD : low + SPREAD);
  const shares = [0, 1, 0.5, 0.3] as const;
  return level === 1 ? high : low + (high - low) * shares[level];
}
