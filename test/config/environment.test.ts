import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { loaded, loadText, problemsOf } from "./workspace.ts";

const text = "device: { name: main }\nbus:\n  kind: embedded\n  users:\n    pump-1: { passwordFile: p }\n";

function gateway(environment: Record<string, string>, file = text) {
  return loaded(loadText(file, environment)).config.gateway;
}

describe("HOLDFAST__ variables", () => {
  it("beat the file, without regard to case and underscores", () => {
    const changed = gateway({
      HOLDFAST__DEVICE__NAME: "plant-7",
      HOLDFAST__STORE__COMMIT_DELAY_MS: "5",
      HOLDFAST__store__retention__decisionsDays: "7",
    });
    expect(changed.device.name).toBe("plant-7");
    expect(changed.store.commitDelayMs).toBe(5);
    expect(changed.store.retention.decisionsDays).toBe(7);
  });

  it("take text as it is where text is due", () => {
    expect(gateway({ HOLDFAST__DEVICE__NAME: "007" }).device.name).toBe("007");
    expect(gateway({ HOLDFAST__DEVICE__LABELS__SITE: "true" }).device.labels).toEqual({ site: "true" });
  });

  it("reach names that are there already, in their own spelling", () => {
    const { bus } = gateway({ HOLDFAST__BUS__USERS__PUMP_1__PASSWORD_FILE: "other" });
    expect(bus.kind === "embedded" && bus.users["pump-1"]?.passwordFile).toBe("other");
  });

  it("work on sections that the file leaves to their defaults", () => {
    expect(gateway({ HOLDFAST__BUS__PORT: "1884" }, "device: { name: x }\n").bus).toMatchObject({
      kind: "embedded",
      port: 1884,
    });
  });

  it("can change the kind of a section and give what the new kind needs", () => {
    const variables = { HOLDFAST__BUS__URL: "mqtt://broker", HOLDFAST__BUS__KIND: "external" };
    expect(gateway(variables, "device: { name: x }\n").bus).toMatchObject({ kind: "external", url: "mqtt://broker" });
    expect(gateway({ HOLDFAST__BUS: "{ kind: external, url: mqtt://broker }" }).bus.kind).toBe("external");
  });

  it("are told by name when their value is wrong", () => {
    expect(problemsOf(loadText(text, { HOLDFAST__BUS__PORT: "many" }))).toEqual([
      {
        file: "HOLDFAST__BUS__PORT",
        line: 1,
        column: 1,
        path: "bus.port",
        message: 'expected a whole number from 1 to 65535, found "many"',
      },
    ]);
  });

  it("never reach into the generation", () => {
    for (const section of ["AGENTS", "MODELS", "TOOLS", "POLICY"]) {
      const [problem] = problemsOf(loadText(text, { [`HOLDFAST__${section}__X__PRIORITY`]: "safety" }));
      expect(problem?.message).toBe(`the environment can not change ${section.toLowerCase()}`);
    }
  });

  it("are refused with a nearest name when they name nothing", () => {
    const [problem] = problemsOf(loadText(text, { HOLDFAST__STORE__COMIT_DELAY_MS: "5" }));
    expect(problem).toMatchObject({ file: "HOLDFAST__STORE__COMIT_DELAY_MS", hint: 'Did you mean "commitDelayMs"?' });
    expect(problemsOf(loadText(text, { HOLDFAST__: "5" }))).toHaveLength(1);
    expect(problemsOf(loadText(text, { HOLDFAST__STORE__DIRECTORY__X: "5" }))).toHaveLength(1);
  });

  it("leave other variables alone", () => {
    expect(gateway({ HOLDFAST_STORE: "x", PATH: "/bin" }).device.name).toBe("main");
  });

  it("bring any whole number in range and any text through unchanged", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1000 }), fc.string({ unit: "grapheme" }), (delay, label) => {
        const changed = gateway({
          HOLDFAST__STORE__COMMIT_DELAY_MS: String(delay),
          HOLDFAST__DEVICE__LABELS__NOTE: label,
        });
        expect(changed.store.commitDelayMs).toBe(delay);
        expect(changed.device.labels["note"]).toBe(label);
      }),
      { numRuns: 60 },
    );
  });
});
