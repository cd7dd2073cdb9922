import { describe, expect, it } from "vitest";
import { gatewaySchema } from "../../../../config/gateway.ts";
import { releaseSchema } from "../../../../config/release.ts";
import type { CommandBus } from "../../../../daemon/act/tool.ts";
import { createTools } from "../../../../daemon/act/tools/create-tools.ts";
import { oneTry, refused } from "../../../../daemon/act/tools/one-try.ts";
import { recordingLog } from "../../../support/bus.ts";
import { send } from "../../../support/tool-call.ts";

const never = new AbortController().signal;

describe("the tools of a generation", () => {
  it("are made of each kind that has effects, and tell what is missing in the gateway's file", async () => {
    const { tools } = releaseSchema.parse({
      tools: {
        stop: { kind: "mqtt", topic: "plant/command" },
        hook: { kind: "webhook", endpoint: "gone" },
        close: { kind: "command", program: "gone" },
        tell: { kind: "notify" },
        look: { kind: "handoff" },
        ask: { kind: "query", topic: "a", replyTopic: "b" },
      },
    });
    const commandBus = { publish: async () => refused("notConnected", false) } as unknown as CommandBus;
    const files = { secret: () => "", text: () => "" };
    const gateway = gatewaySchema.parse({});
    const made = createTools(tools, { gateway, deviceName: "plant-7", files, log: recordingLog(), commandBus });
    expect([...made.keys()]).toEqual(["stop", "hook", "close", "tell", "look"]);
    expect([...made].filter(([, tool]) => tool.isCheap === true).map(([name]) => name)).toEqual([
      "stop",
      "tell",
      "look",
    ]);
    for (const name of ["hook", "close"]) {
      const tool = made.get(name);
      if (tool !== undefined) expect(await send(tool)).toMatchObject({ left: false, permanent: true });
    }
  });
});

describe("one try", () => {
  it("has one end, whatever is told after it", async () => {
    let late: (() => void) | undefined;
    const sent = oneTry(1000, never, (end) => {
      end({ kind: "acknowledged" });
      late = () => end(refused("late"));
      return () => {};
    });
    late?.();
    expect(await sent).toEqual({ kind: "acknowledged" });
  });

  it("is broken off once, also when its own beginning stops everything", async () => {
    const stop = new AbortController();
    const cuts: string[] = [];
    const sent = await oneTry(1, stop.signal, (end) => {
      stop.abort();
      return (why) => {
        cuts.push(why);
        setTimeout(() => end(refused(why)), 20);
      };
    });
    expect(sent).toMatchObject({ reason: "stopped" });
    expect(cuts).toEqual(["stopped"]);
  });

  it("does not begin when it is over before", async () => {
    let begun = 0;
    const sent = await oneTry(1000, AbortSignal.abort(), () => {
      begun += 1;
      return () => {};
    });
    expect(sent).toMatchObject({ left: false, reason: "stopped" });
    expect(begun).toBe(0);
  });

  it("ends also where its beginning fails", async () => {
    const sent = await oneTry(1000, never, () => {
      throw new Error("odd");
    });
    expect(sent).toEqual({ kind: "failed", left: false, permanent: true, reason: "odd" });
  });
});
