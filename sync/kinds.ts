/** The number of each stream; its order is the order in which records matter. */
export const streams = { safety: 0, decisions: 1, quiet: 2, telemetry: 3 } as const;
export type Stream = 0 | 1 | 2 | 3;

/** The number of each kind as the log stores it. Numbers are never used again for something else. */
export const recordKinds = {
  decision: 1,
  intent: 2,
  outcome: 3,
  approval: 4,
  mode: 5,
  latch: 6,
  drop: 7,
  rollup: 8,
  health: 9,
  transition: 10,
  epochStart: 11,
  epochClose: 12,
  chainHead: 13,
  feedback: 14,
  profile: 15,
  proposal: 16,
  clockSync: 17,
  support: 18,
} as const;

export type RecordKind = keyof typeof recordKinds;
export type RecordKindCode = (typeof recordKinds)[RecordKind];

const kindNames = new Map<number, RecordKind>(
  Object.entries(recordKinds).map(([name, code]) => [code, name as RecordKind]),
);

/** The kind with this number, or undefined for one that a newer version wrote. */
export function kindName(code: number): RecordKind | undefined {
  return kindNames.get(code);
}

/** Why an epoch began. */
export const startReasons = [
  "first",
  "clean",
  "crash",
  "bootChanged",
  "moved",
  "restored",
  "recovered",
  "truncated",
] as const;
export type StartReason = (typeof startReasons)[number];

/** Starts after which the log does not go on where it ended. */
export const discontinuities: readonly StartReason[] = ["moved", "restored", "recovered", "truncated"];
