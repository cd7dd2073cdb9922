import { isDeepStrictEqual } from "node:util";
import type { AgentConfig } from "../../config/agents.ts";

/** Parts of an agent that change nothing of which passes there were and what they saw. */
const WITHOUT_READINGS: ReadonlySet<string> = new Set([
  "enabled",
  "priority",
  "deadlineSeconds",
  "maxKeys",
  "model",
  "rules",
  "fallback",
  "silence",
  "record",
]);

/**
 * What of a candidate agent only recorded readings could tell: other sources, windows or features would have opened
 * other passes, or the same passes over other numbers. A sentence each; none when the record is enough.
 */
export function needsReadings(recorded: AgentConfig, candidate: AgentConfig): string[] {
  const [was, is] = [plain(recorded), plain(candidate)];
  const names = new Set([...Object.keys(was), ...Object.keys(is)]);
  const changed = [...names].filter(
    (name) => !WITHOUT_READINGS.has(name) && name !== "features" && !isDeepStrictEqual(was[name], is[name]),
  );
  const features = Object.entries(candidate.features ?? {}).filter(
    ([name, text]) => recorded.features?.[name] !== text,
  );
  const hasOther = (candidate.features === undefined) !== (recorded.features === undefined);
  return [
    ...changed.map((name) => `its ${name} changed`),
    ...(features.length > 0 ? [`its features changed (${features.map(([name]) => name).join(", ")})`] : []),
    ...(hasOther && features.length === 0 ? ["its features changed"] : []),
  ];
}

/** What of a candidate agent the record tells only as it was. */
export function keptAsRecorded(recorded: AgentConfig, candidate: AgentConfig): string[] {
  const isSilenceOther = recorded.silence?.afterSeconds !== candidate.silence?.afterSeconds;
  return isSilenceOther ? ["when keys fell silent is taken as it was: silence.afterSeconds changed"] : [];
}

/** The agent without what changes neither passes nor numbers. */
function plain(config: AgentConfig): Record<string, unknown> {
  const { sources, window, ...rest } = config;
  return {
    ...rest,
    sources: sources.map((source) => {
      if (source.kind !== "mqtt") return source;
      const { qos: _, fields, ...others } = source;
      const values = Object.entries(fields).map(([name, { private: _isPrivate, ...field }]) => [name, field]);
      return { ...others, fields: values };
    }),
    window: window === undefined ? undefined : { ...window, durability: 0, checkpointSeconds: 0, maxKeys: 0 },
  };
}
