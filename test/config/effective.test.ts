import { describe, expect, it } from "vitest";
import { effective, effectiveYaml } from "../../config/effective.ts";
import { agentText, loaded, loadText } from "./workspace.ts";

const tokenHash = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
const text = `people: { maria: { roles: [operator], tokenHash: ${tokenHash} } }\n${agentText}`;

describe("the effective configuration", () => {
  it("hides secrets and says that there is one", () => {
    const { config } = loaded(loadText(text));
    expect(effectiveYaml(config)).not.toContain(tokenHash);
    expect(effective(config)).toMatchObject({ people: { maria: { tokenHash: "(hidden)" } } });
  });

  it("is itself a configuration that means the same", () => {
    const { config } = loaded(loadText(text.replace(`, tokenHash: ${tokenHash}`, "")));
    expect(loaded(loadText(effectiveYaml(config))).config).toEqual(config);
  });

  it("has the sections in the order of the reference", () => {
    const { config } = loaded(loadText(text));
    expect(Object.keys(effective(config)).slice(0, 4)).toEqual(["schemaVersion", "device", "people", "bus"]);
  });
});

describe("what a mistake tells of a value", () => {
  const said = (yaml: string): string => JSON.stringify(loadText(`${yaml}\n${agentText}`));

  it("is nothing where a hash was wanted and the secret itself may stand", () => {
    const text = said("people: { maria: { roles: [operator], tokenHash: hunter2-in-clear } }");
    expect(text).toContain("tokenHash");
    expect(text).not.toContain("hunter2");
  });

  it("is a URL without user and password", () => {
    const text = said('bus: { kind: external, url: "http://maria:hunter2@plant.example:1883" }');
    expect(text).toContain("//…@plant.example");
    expect(text).not.toContain("hunter2");
  });
});
