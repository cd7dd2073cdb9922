import fc from "fast-check";
import { expect, test } from "vitest";
import { fileIn, firings, type MadePass, runReplay, writeLog } from "./support.ts";

interface Rule {
  readonly threshold: number;
  readonly forSeconds: number;
  readonly clearBelow: number | undefined;
  readonly cooldownSeconds: number;
  readonly readsState: boolean;
}

const rule = fc.record<Rule>({
  threshold: fc.integer({ min: 2, max: 8 }),
  forSeconds: fc.constantFrom(0, 0, 2, 3.5),
  clearBelow: fc.constantFrom(undefined, undefined, 2, 4),
  cooldownSeconds: fc.constantFrom(0, 0, 5, 12),
  readsState: fc.boolean(),
});

const text = (rules: readonly Rule[]): string => `
agents:
  tank:
    sources: [{ kind: mqtt, topic: "tank/{id}", key: id, fields: { level: { min: 0, max: 100 } } }]
    record: { quiet: all }
    rules:
${rules.map((one, at) => `      - ${JSON.stringify(ruleOf(one, `r${at}`))}`).join("\n")}
tools: { drain: { kind: mqtt, topic: "tank/{id}/drain", class: reversible } }
policy: [{ id: open, effect: permit, when: "event.fields.level < 9.0" }, { id: ask, effect: requireApproval, when: "event.key == 'b'" }]
`;

function ruleOf({ threshold, forSeconds, clearBelow, cooldownSeconds, readsState }: Rule, id: string): object {
  const past = readsState ? " && (state.sinceLastFired > 8 || state.passes > 20)" : "";
  return {
    id,
    when: `event.fields.level > ${threshold}.0${past}`,
    forSeconds,
    cooldownSeconds,
    ...(clearBelow === undefined ? {} : { clearWhen: `event.fields.level < ${clearBelow}.0` }),
    do: [{ tool: "drain", arguments: { id: "event.key", level: "event.fields.level" } }],
  };
}

const passes = (gap: fc.Arbitrary<number>) =>
  fc
    .array(fc.record({ key: fc.constantFrom("a", "b"), level: fc.integer({ min: 0, max: 10 }), gapMs: gap }), {
      minLength: 30,
      maxLength: 120,
    })
    .map((list) => {
      let atMs = 0;
      return list.map(({ key, level, gapMs }): MadePass => {
        atMs += gapMs;
        return { key, atMs, inputs: [level] };
      });
    });

/** Also gaps that end just where a rule's time is up: lines say times in whole milliseconds. */
const evenGap = fc.oneof(
  fc.constantFrom(500, 999.5, 1000, 1000.4, 1999.7),
  fc.double({ min: 0, max: 2500, noNaN: true }),
);

test("what ran makes no difference when it is tried, whatever part of the quiet passes was written down", async () => {
  const kept = fc.constantFrom("all", "changes", "some");
  await fc.assert(
    fc.asyncProperty(
      fc.array(rule, { minLength: 1, maxLength: 2 }),
      passes(evenGap),
      kept,
      async (rules, made, which) => {
        const keeps = (index: number, isChanged: boolean) =>
          which === "all" || (which === "changes" ? isChanged : index % 5 === 0);
        const yaml = text(rules);
        const directory = await writeLog({ yaml, agent: "tank", passes: made, acts: true, keeps });
        const file = fileIn(directory, "same.yaml", yaml);
        const { report, status, error } = await runReplay(directory, "--agents", file, "--policy", file, "--json");
        if (error !== undefined) expect(error).toMatchObject({ code: "NOTHING_TO_REPLAY" });
        else expect([status, report.changed, report.actions.unknown]).toEqual([0, 0, 0]);
      },
    ),
    { numRuns: 25, interruptAfterTimeLimit: 45_000 },
  );
});

test("other rules fire in the replay exactly when they would have fired themselves, where all was written down", async () => {
  await fc.assert(
    fc.asyncProperty(rule, rule, passes(fc.nat(2500)), async (before, after, made) => {
      const log = { yaml: text([before]), agent: "tank", passes: made };
      const other = { ...log, yaml: text([after]) };
      const directory = await writeLog(log);
      const file = fileIn(directory, "other.yaml", other.yaml);
      const { report } = await runReplay(directory, "--agents", file, "--examples", "1000", "--json");
      const was = firings(log);
      const would = firings(other);
      const told = report.agents[0]?.rules[0];
      expect(told).toMatchObject({
        recorded: was.length,
        candidate: would.length,
        more: would.filter((one) => !was.includes(one)).length,
        fewer: was.filter((one) => !would.includes(one)).length,
      });
    }),
    { numRuns: 25, interruptAfterTimeLimit: 45_000 },
  );
});
