import { vitalsOf } from "./agent-plan.ts";
import type { Clock } from "./clock.ts";
import type { PreparedAgent } from "./generation.ts";
import type { Intake } from "./intake.ts";
import type { Component } from "./lifecycle.ts";
import { ScheduleSource } from "./sources/schedule.ts";
import { loopDelayMeter, VitalsSource } from "./sources/vitals.ts";

interface Deps {
  readonly clock: Clock;
  readonly dataDirectory: string;
}

/** The events that the gateway makes itself: its vitals and its schedules. */
export function createOwnSources(
  agents: readonly PreparedAgent[],
  deps: Deps,
  intakeOf: (agent: string) => Intake | undefined,
): Component {
  const sources: Component[] = [];
  let meter: ReturnType<typeof loopDelayMeter> | undefined;
  for (const { plan } of agents) {
    for (const [at, source] of plan.config.sources.entries()) {
      if (source.kind === "schedule") {
        sources.push(
          new ScheduleSource(
            { clock: deps.clock, emit: (timeMs) => intakeOf(plan.name)?.emit(at, source.key, [], timeMs) },
            source,
          ),
        );
      }
      if (source.kind !== "vitals") continue;
      meter ??= loopDelayMeter();
      const { read } = meter;
      const places = plan.fields.flatMap((field, place) => (field.source === at ? [place] : []));
      const emit = (values: readonly number[], _names: readonly string[], timeMs: number): void => {
        const row = new Array<number | undefined>(plan.fields.length).fill(undefined);
        for (const [index, value] of values.entries()) if (!Number.isNaN(value)) row[places[index] as number] = value;
        intakeOf(plan.name)?.emit(at, source.key, row, timeMs);
      };
      sources.push(
        new VitalsSource(
          { clock: deps.clock, emit, loopDelayMs: read },
          { everySeconds: source.everySeconds, dataDirectory: deps.dataDirectory, fields: vitalsOf(source.fields) },
        ),
      );
    }
  }
  return {
    name: "own sources",
    start: async (signal) => {
      for (const source of sources) await source.start(signal);
    },
    stop: async () => {
      for (const source of sources) await source.stop();
      meter?.stop();
    },
  };
}
