/** A guard taken out of a compiled file, the faults that show it, and the oracle that must notice. */
export interface Mutant {
  readonly name: string;
  readonly file: string;
  readonly text: string;
  readonly instead: string;
  readonly faults: readonly string[];
  readonly oracle: string;
  /** So many times the usual number of faults: it shows seldom. */
  readonly times?: number;
}

export const mutants: readonly Mutant[] = [
  {
    name: "an effect does not wait for its intent to be on disk",
    file: "daemon/recorder.js",
    text: "log.onDurable(judged.durable);",
    instead: "judged.durable();",
    faults: ["kill", "fullDisk"],
    oracle: "intentFirst",
  },
  {
    name: "what an earlier start left open is sent again whatever the tool",
    file: "daemon/act/recovery.js",
    text: "const mayAgain = facts.isIdempotent && facts.isSameBoot && facts.isSamePolicy;",
    instead: "const mayAgain = true;",
    faults: ["kill"],
    oracle: "once",
  },
  {
    name: "a forbid is not heeded",
    file: "daemon/act/judge.js",
    text: 'if (effect === "forbid")',
    instead: "if (false)",
    faults: ["kill"],
    oracle: "neverPermitted",
  },
  {
    name: "what no rule permits is done",
    file: "daemon/act/judge.js",
    text: 'if (effect === "deny")',
    instead: "if (false)",
    faults: ["kill"],
    oracle: "neverPermitted",
  },
  {
    name: "nobody is asked",
    file: "daemon/act/judge.js",
    text: 'state: needs > 0 ? "awaitingApproval" : "intended"',
    instead: 'state: "intended"',
    faults: ["kill"],
    oracle: "neverPermitted",
  },
  {
    name: "limits are forgotten at a restart",
    file: "daemon/act/limits.js",
    text: "Object.entries(restored)",
    instead: "Object.entries({})",
    faults: ["kill"],
    oracle: "withinLimits",
  },
  {
    name: "limits are not looked at",
    file: "daemon/act/limits.js",
    text: "#full(counters, use) {",
    instead: "#full(counters, use) {\n        return undefined;",
    faults: ["silence"],
    oracle: "withinLimits",
  },
  {
    name: "limits of an older database are believed",
    file: "daemon/store/log-tables.js",
    text: "lastStartOf(database, discontinuities)",
    instead: "undefined",
    faults: ["restore"],
    oracle: "withinLimits",
    times: 3,
  },
  {
    name: "targets of a group do not exclude each other",
    file: "daemon/act/exclusion.js",
    text: "refusal(plan, target) {",
    instead: "refusal(plan, target) {\n        return undefined;",
    faults: ["silence"],
    oracle: "exclusive",
  },
  {
    name: "an interlock's reading may be of any age",
    file: "daemon/act/readings.js",
    text: "if (ageMs > one.maxAgeMs)",
    instead: "if (false)",
    faults: ["silence"],
    oracle: "interlocked",
  },
  {
    name: "nobody looks at the execute-before",
    file: "daemon/act/executor.js",
    text: "if (clock.bootMs() >= intent.executeBefore.bootMs)",
    instead: "if (false)",
    faults: ["brokerDies"],
    oracle: "inTime",
    times: 2,
  },
  {
    name: "the gate does not look at the latch",
    file: "daemon/act/executor.js",
    text: 'if (plan.class !== "notify" && isLatched())',
    instead: "if (false)",
    faults: ["latchInOutage"],
    oracle: "latched",
  },
  {
    name: "the latch's file is not looked at",
    file: "daemon/latch.js",
    text: "isLatched(afresh = false) {",
    instead: "isLatched(afresh = false) {\n        return this.#note.latched;",
    faults: ["latchFile", "latchRemoved"],
    oracle: "latched",
  },
  {
    name: "switches are not looked at",
    file: "daemon/modes.js",
    text: "isOff(agent, tool) {",
    instead: "isOff(agent, tool) {\n        return undefined;",
    faults: ["switchedOff"],
    oracle: "switched",
  },
  {
    name: "everything is called verified",
    file: "daemon/act/executor.js",
    text: "if (shown !== undefined)",
    instead:
      'if (shown === undefined && action.plan.verify !== undefined)\n            return this.#finish(action, { state: "verified", attempt });\n        if (shown !== undefined)',
    faults: ["silence"],
    oracle: "verified",
  },
  {
    name: "what was open when the log broke off is gone on with",
    file: "daemon/act/recovery.js",
    text: "if (facts.isDiscontinuous)",
    instead: "if (false)",
    faults: ["restore"],
    oracle: "unbroken",
  },
  {
    name: "what left is forgotten over what keeps it from leaving again",
    file: "daemon/act/executor.js",
    text: "isKnown ? fallen",
    instead: "false ? fallen",
    faults: ["latch", "kill", "switchedOff"],
    oracle: "toldTruly",
    times: 2,
  },
  {
    name: "what an earlier start left open is left open",
    file: "daemon/act/recoverer.js",
    text: "run(restored, reason) {",
    instead: "run(restored, reason) {\n        return;",
    faults: ["kill"],
    oracle: "ended",
  },
];
