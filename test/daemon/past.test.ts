import { expect, test } from "vitest";
import { loadRelease } from "../../config/load.ts";
import { deviceAt } from "../../daemon/generation.ts";

const agent = (name: string): string =>
  `agents: { ${name}: { sources: [{ kind: vitals }], rules: [{ id: r, when: "true", do: [{ tool: shut }] }] } }\n`;

test("agents come back from kept files alone, without the gateway that allowed their tools", () => {
  const files = [
    { path: "conf.d/a.yaml", source: agent("a") },
    { path: "conf.d/b.yaml", source: `${agent("b")}tools: { shut: { kind: command, program: valve } }\n` },
  ];
  expect(Object.keys(loadRelease(files)?.agents ?? {})).toEqual(["a", "b"]);
  expect(loadRelease([{ path: "g.yaml", source: `device: { name: x }\n${agent("a")}` }])?.agents).toHaveProperty("a");
});

test("files that can not be read any more bring back nothing", () => {
  expect(loadRelease([{ path: "a.yaml", source: "agents: [" }])).toBeUndefined();
  expect(loadRelease([{ path: "a.yaml", source: "agents: { a: { sources: many } }" }])).toBeUndefined();
});

test("the device of an epoch is the one that was kept last before it", () => {
  const meta = { "device:2": "two", "device:10": "ten", pointer: "x" };
  expect([1, 2, 9, 10, 11].map((epoch) => deviceAt(meta, epoch))).toEqual([undefined, "two", "two", "ten", "ten"]);
});
