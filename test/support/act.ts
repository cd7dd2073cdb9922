import { neededBy } from "../../config/tool-references.ts";
import type { ToolConfig } from "../../config/tools.ts";
import { toolSchema } from "../../config/tools.ts";
import type { Gate, Sent, Tool, ToolCall } from "../../daemon/act/tool.ts";
import { planTool, type ToolPlan } from "../../daemon/act/tool-plan.ts";
import type { Clock, ClockTrust } from "../../daemon/clock.ts";

/** A clock that stands still until it is set. */
export class StillClock implements Clock {
  bootId: string;
  nowBootMs = 1_000_000;
  nowWallMs = 1_800_000_000_000;
  nowTrust: ClockTrust = "synced";

  constructor(bootId = "0123456789abcdef") {
    this.bootId = bootId;
  }

  wallMs = (): number => this.nowWallMs;
  bootMs = (): number => this.nowBootMs;
  trust = (): ClockTrust => this.nowTrust;

  pass(ms: number): void {
    this.nowBootMs += ms;
    this.nowWallMs += ms;
  }
}

/** A tool's plan as it comes from the configuration; mistakes in it are the test's own. */
export function planOf(name: string, config: Record<string, unknown>): ToolPlan {
  const parsed: ToolConfig = toolSchema.parse({
    ...(config.kind === undefined ? { kind: "mqtt", topic: "plant/{pump}/command" } : {}),
    ...config,
  });
  const problems: { message: string }[] = [];
  const plan = planTool(
    name,
    parsed,
    neededBy(parsed, { programs: {} }),
    { name: "gateway", labels: {} },
    (_path, message) => ({ file: "", line: 1, column: 1, path: "", message }),
    problems as never,
  );
  if (problems.length > 0) throw new Error(JSON.stringify(problems));
  return plan;
}

/** A tool that does what the test says, and remembers what it was asked. */
export class FakeTool implements Tool {
  isCheap = true;
  leavesWhole = false;
  readonly calls: ToolCall[] = [];
  readonly left: ToolCall[] = [];
  answer: (call: ToolCall, signal: AbortSignal) => Promise<Sent> | Sent = () => ({ kind: "acknowledged" });

  async send(call: ToolCall, gate: Gate, signal: AbortSignal): Promise<Sent> {
    this.calls.push(call);
    const isNothing = await this.before?.(call);
    if (isNothing !== undefined) return isNothing;
    if (!gate()) return { kind: "failed", left: false, reason: "stopped" };
    this.left.push(call);
    return await this.answer(call, signal);
  }

  /** What happens before the gate is asked: a connection that is not there. */
  before: ((call: ToolCall) => Promise<Sent | undefined> | Sent | undefined) | undefined;
}
