import type { Gate, Sent, Tool, ToolCall } from "../../daemon/act/tool.ts";

/** One use of a tool; what does not matter is made up. */
export function aCall(more: Partial<ToolCall> = {}): ToolCall {
  return {
    id: "01890000-0000-7000-8000-000000000001",
    idempotencyKey: "key-1",
    tool: "stop-pump",
    class: "reversible",
    arguments: {},
    attempt: 1,
    timeoutMs: 10_000,
    remainingMs: 30_000,
    agent: "pump-guard",
    key: "p1",
    rule: "hot",
    decision: undefined,
    trace: undefined,
    ...more,
  };
}

/** A gate that counts how often it was asked, and says what it is told to. */
export function countingGate(answer = true): Gate & { readonly asked: number } {
  let asked = 0;
  const gate = (): boolean => {
    asked += 1;
    return answer;
  };
  return Object.defineProperty(gate, "asked", { get: () => asked }) as Gate & { readonly asked: number };
}

/** One try that nobody breaks off. */
export function send(tool: Tool, call: Partial<ToolCall> = {}, gate: Gate = () => true): Promise<Sent> {
  return tool.send(aCall(call), gate, new AbortController().signal);
}
