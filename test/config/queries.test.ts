import { describe, expect, it } from "vitest";
import { loaded, loadText, problemsOf } from "./workspace.ts";

const whole = (
  tools: string,
  agent = "",
  rest = "",
): string => `endpoints: { tariff: { url: "https://tariff.example/now" } }
agents:
  pump:
    sources:
      - { kind: mqtt, topic: "plant/{pump}/t", key: pump, fields: { vibration: { unit: mm/s } } }
${agent}tools:
${tools}${rest}`;

const good = `  tariff: { kind: query, endpoint: tariff }
  state: { kind: query, topic: "plant/{pump}/get", replyTopic: "plant/{pump}/got" }
  alert: { kind: notify }
`;

function mistakes(text: string): string[] {
  return problemsOf(loadText(text)).map((one) => `${one.path}: ${one.message}`);
}

describe("a query", () => {
  it("asks an endpoint, or the bus, and an agent names what it wants to know", () => {
    const agent = `    queries: { price: { tool: tariff }, state: { tool: state, arguments: { pump: event.key } } }\n`;
    const { config } = loaded(loadText(whole(good, agent)));
    expect(config.generation.agents["pump"]?.queries).toEqual({
      price: { tool: "tariff", arguments: {} },
      state: { tool: "state", arguments: { pump: "event.key" } },
    });
    expect(config.generation.tools["state"]).toMatchObject({ correlate: true, freshForSeconds: 60 });
    expect(loaded(loadText(whole(good))).config.generation.agents["pump"]?.queries).toBeUndefined();
  });

  it("asks one of the two, and says where the answer comes", () => {
    expect(mistakes(whole("  a: { kind: query }\n"))).toEqual(["tools.a: whom to ask is missing"]);
    expect(mistakes(whole('  a: { kind: query, topic: x, replyTopic: "y", endpoint: tariff }\n'))).toEqual([
      "tools.a: a query asks by topic or by endpoint, not by both",
    ]);
    expect(mistakes(whole("  a: { kind: query, topic: x }\n"))).toEqual([
      'tools.a: "replyTopic" is missing: where the answer comes',
    ]);
    expect(mistakes(whole("  a: { kind: query, topic: x, replyTopic: x }\n"))).toEqual([
      "tools.a.replyTopic: the request itself would be taken for the answer",
    ]);
    expect(mistakes(whole('  a: { kind: query, topic: "x/+", replyTopic: "$x" }\n'))).toEqual([
      "tools.a.topic: one topic, without wildcards",
      "tools.a.replyTopic: one topic, without wildcards",
    ]);
    expect(mistakes(whole("  a: { kind: query, endpoint: tarif }\n"))).toEqual([
      'tools.a.endpoint: there is no endpoint "tarif"',
    ]);
    expect(mistakes(whole("  a: { kind: query, endpoint: tariff, replyTopic: x, correlate: true }\n"))).toEqual([
      "tools.a.replyTopic: replyTopic is for a query on the bus",
      "tools.a.correlate: correlate is for a query on the bus",
    ]);
  });

  it("has nothing of what an effect has", () => {
    expect(
      mistakes(whole("  a: { kind: query, endpoint: tariff, class: critical, limits: { perMinute: 1 } }\n")),
    ).toEqual([
      "tools.a.class: a query changes nothing, and has no class",
      "tools.a.limits: a query changes nothing, and has no limits",
    ]);
  });

  it("is no action: no rule does it, and no policy is asked about it", () => {
    const agent = `    rules: [{ id: r, when: "true", do: [{ tool: tariff }] }]
    fallback: { do: [{ tool: state }] }
`;
    const policy = "policy: [{ id: p, effect: forbid, tools: [tariff] }]\n";
    expect(mistakes(whole(good, agent, policy))).toEqual([
      'agents.pump.rules[0].do[0].tool: "tariff" only asks',
      'agents.pump.fallback.do[0].tool: "state" only asks',
      'policy[0].tools[0]: "tariff" only asks, and no policy is asked about that',
    ]);
  });

  it("is one of a few", () => {
    const many = Array.from({ length: 17 }, (_, at) => `q${at}: { tool: tariff }`).join(", ");
    expect(mistakes(whole(good, `    queries: { ${many} }\n`))).toEqual([
      "agents.pump.queries: an agent asks at most 16 questions, found 17",
    ]);
  });

  it("is asked by a tool that there is, and that asks", () => {
    const agent = "    queries: { a: { tool: tarif }, b: { tool: alert } }\n";
    expect(mistakes(whole(good, agent))).toEqual([
      'agents.pump.queries.a.tool: there is no tool "tarif"',
      'agents.pump.queries.b.tool: "alert" is of kind notify',
    ]);
  });
});
