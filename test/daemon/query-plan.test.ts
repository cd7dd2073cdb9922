import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { loadConfig } from "../../config/load.ts";
import { privateQueries } from "../../daemon/agent-plan.ts";
import { check } from "../../daemon/generation.ts";

const folder = mkdtempSync(join(tmpdir(), "holdfast-queries-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Given {
  readonly queries: object;
  readonly tools: object;
  readonly rules?: readonly object[];
  readonly fallback?: object;
}

async function checked({ queries, tools, rules = [], fallback }: Given) {
  const file = join(folder, "holdfast.yaml");
  const source = {
    kind: "mqtt",
    topic: "door/{door}",
    key: "door",
    fields: { badge: { type: "string", private: true }, open: { type: "boolean" }, room: { type: "string" } },
  };
  const agent = { sources: [source], queries, rules, ...(fallback === undefined ? {} : { fallback }) };
  writeFileSync(
    file,
    JSON.stringify({
      schemaVersion: 1,
      device: { labels: { site: "north" } },
      endpoints: { people: { url: "https://people.example/find?site=north" } },
      agents: { door: agent },
      tools,
    }),
  );
  const loaded = loadConfig({ file, environment: {} });
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  const { problems, prepared } = await check(loaded, { dataDirectory: folder, bundled: folder });
  return { mistakes: problems.map((one) => `${one.path}: ${one.message}`), prepared };
}

const onBus = { kind: "query", topic: "room/{room}/get", replyTopic: "room/{room}/got" };
const byHttp = { kind: "query", endpoint: "people" };

describe("what an agent asks", () => {
  test("is compiled over what is known when a pass opens", async () => {
    const { prepared } = await checked({
      queries: {
        room: { tool: "room", arguments: { room: "event.fields.room + device.labels.site" } },
        who: { tool: "who", arguments: { door: "event.key", most: 3 } },
      },
      tools: { room: onBus, who: byHttp },
      rules: [{ id: "r", when: "query.room.people > 0 && has(query.who)" }],
    });
    const queries = prepared?.agents[0]?.queries;
    queries?.expressions.bind(
      {
        key: "d1",
        eventId: undefined,
        eventTimeMs: 0,
        fields: ["b", true, "r1"],
        row: [],
        coverage: 0,
        windowCount: 0,
      },
      undefined,
      0,
    );
    expect(
      queries?.list.map(({ name, tool, arguments: given }) => [
        name,
        tool,
        given.map(([argument, value]) => [argument, typeof value === "object" ? value.value() : value]),
      ]),
    ).toEqual([
      ["room", "room", [["room", "r1north"]]],
      [
        "who",
        "who",
        [
          ["door", "d1"],
          ["most", 3],
        ],
      ],
    ]);
  });

  test("has an argument for each place, and a place for each argument", async () => {
    const { mistakes } = await checked({
      queries: { room: { tool: "room", arguments: { rom: "event.key" } } },
      tools: { room: onBus },
    });
    expect(mistakes).toEqual([
      'agents.door.queries.room.arguments: the argument "room" is missing',
      'agents.door.queries.room.arguments.rom: the tool has no place for an argument "rom"',
    ]);
  });

  test("can not be asked with what is not known yet, nor with other answers", async () => {
    const { mistakes } = await checked({
      queries: {
        a: { tool: "room", arguments: { room: "string(now)" } },
        b: { tool: "room", arguments: { room: "state.firing" } },
        c: { tool: "room", arguments: { room: "query.a" } },
        d: { tool: "room", arguments: { room: "hall" } },
      },
      tools: { room: onBus },
    });
    expect(mistakes).toEqual([
      "agents.door.queries.a.arguments.room: now is not known when the question is asked",
      "agents.door.queries.b.arguments.room: state is not known when the question is asked",
      'agents.door.queries.c.arguments.room: there is no "query" here',
      'agents.door.queries.d.arguments.room: there is no "hall" here',
    ]);
  });

  test("keeps private fields on the gateway's own network", async () => {
    const given = { badge: "event.fields.badge" };
    const away = await checked({ queries: { who: { tool: "who", arguments: given } }, tools: { who: byHttp } });
    expect(away.mistakes).toEqual([
      'agents.door.queries.who.arguments.badge: the field "badge" is private, and would leave the gateway',
    ]);
    const hidden = await checked({
      queries: { who: { tool: "who", arguments: { x: "has(event.fields.badge)" } } },
      tools: { who: byHttp },
    });
    expect(hidden.mistakes).toHaveLength(1);
    const here = await checked({
      queries: { who: { tool: "who", arguments: given } },
      tools: { who: { kind: "query", topic: "who/get", replyTopic: "who/got", payload: { badge: "{badge}" } } },
    });
    expect(here.mistakes).toEqual([]);
    const [agent] = here.prepared?.agents ?? [];
    expect(agent === undefined ? [] : privateQueries(agent.plan)).toEqual(["who"]);
  });

  test("stands in for nothing that the endpoint's URL says", async () => {
    const { mistakes } = await checked({
      queries: { who: { tool: "who", arguments: { site: "event.key" } } },
      tools: { who: byHttp },
    });
    expect(mistakes).toEqual(['agents.door.queries.who.arguments.site: the endpoint\'s URL says "site" already']);
  });

  test("is not known where there was no pass", async () => {
    const { mistakes } = await checked({
      queries: { who: { tool: "who" } },
      tools: { who: byHttp, tell: { kind: "notify" } },
      fallback: { do: [{ tool: "tell", arguments: { text: "query.who" } }] },
    });
    expect(mistakes).toEqual(['agents.door.fallback.do[0].arguments.text: there is no "query" here']);
  });
});

describe("a query tool", () => {
  test("sends nothing where commands go: a question changes nothing", async () => {
    const { mistakes } = await checked({
      queries: {},
      tools: {
        unlock: { kind: "mqtt", topic: "door/{door}/cmd" },
        sly: { kind: "query", topic: "door/d1/cmd", replyTopic: "x" },
      },
    });
    expect(mistakes).toEqual(['tools.sly.topic: "unlock" sends its commands there, and a query changes nothing']);
  });

  test("whose answers repeat no id has them apart by their topic", async () => {
    const tool = { kind: "query", topic: "room/{room}/get", replyTopic: "room/got", correlate: false };
    const { mistakes } = await checked({ queries: {}, tools: { room: tool } });
    expect(mistakes).toEqual(["tools.room.correlate: answers for one {room} could be taken for another's"]);
    const apart = await checked({ queries: {}, tools: { room: { ...tool, replyTopic: "room/{room}" } } });
    expect(apart.mistakes).toEqual([]);
  });
});
