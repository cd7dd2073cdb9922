import { z } from "zod";
import { described } from "./described.ts";

export const priorities = ["safety", "action", "monitor", "background"] as const;
export type Priority = (typeof priorities)[number];

const seconds = z.number().positive();
const fieldName = z.string().regex(/^[a-zA-Z_]\w*$/);

export const fieldSchema = z.strictObject({
  path: described(
    z.string().min(1).optional(),
    "Where the value stands in a JSON payload, levels parted by dots; default: the field's name.",
    "accel.rms",
  ),
  column: described(
    z.union([z.string(), z.number().int().min(0)]).optional(),
    "The column of a CSV payload: its name in `header` or its number from 0.",
    1,
    "value",
  ),
  type: described(z.enum(["number", "integer", "boolean", "string"]).default("number"), "What the value is.", "number"),
  unit: described(z.string().optional(), "The unit, as the model's manifest names it.", "mm/s"),
  min: described(z.number().optional(), "The smallest believable value; below it the event is invalid.", -40),
  max: described(z.number().optional(), "The largest believable value; above it the event is invalid.", 200),
  missing: described(
    z.enum(["reject", "last", "null"]).default("reject"),
    "What an event without this field means: invalid, the last known value, or no value.",
    "last",
  ),
  maxAgeSeconds: described(seconds.optional(), "How old a last known value may be, in seconds.", 120),
  private: described(z.boolean().default(false), "Never shown in logs, notifications or exports.", false),
});
export type FieldConfig = z.infer<typeof fieldSchema>;

const fields = z.record(fieldName, fieldSchema);

export const timestampSchema = z.strictObject({
  path: described(z.string().min(1).optional(), "Where the time stands in a JSON payload.", "ts"),
  column: described(
    z.union([z.string(), z.number().int().min(0)]).optional(),
    "The column of the time in a CSV payload.",
    0,
  ),
  unit: described(
    z.enum(["s", "ms", "us", "iso8601"]),
    "How the time is written; ISO 8601 without a zone is read as UTC.",
    "ms",
  ),
});

export const mqttSourceSchema = described(
  z.strictObject({
    kind: z.literal("mqtt"),
    topic: described(
      z.string().min(1),
      "The topic on the LAN bus; `{name}` is one level with a name, + and # as in MQTT.",
      "plant/{pump}/telemetry",
    ),
    key: described(
      z
        .union([
          z.string().min(1),
          z.strictObject({ path: described(z.string().min(1), "Where the key stands in the payload.", "pump.id") }),
        ])
        .optional(),
      "What the event is about: the name of a topic level, or a path in the payload; default: the whole topic.",
      "pump",
      { path: "pump.id" },
    ),
    format: described(z.enum(["json", "scalar", "csv"]).default("json"), "How the payload is written.", "json"),
    separator: described(z.string().length(1).default(","), "Between the columns of a CSV payload.", ";"),
    header: described(z.array(z.string()).optional(), "Names of the columns of a CSV payload.", ["time", "value"]),
    timestamp: described(timestampSchema.optional(), "The sensor's own time; without it the time of arrival is used.", {
      path: "ts",
      unit: "ms",
    }),
    fields: described(fields, "The values that are taken from the payload, by name.", {
      vibration: { path: "accel.rms", unit: "mm/s" },
    }),
    retained: described(
      z.enum(["ignore", "use"]).default("ignore"),
      "What to do with retained messages: they are old when they come.",
      "ignore",
    ),
    qos: described(
      z.union([z.literal(0), z.literal(1)]).default(1),
      "Quality of service of the subscription; 1 is acknowledged when the decision is on disk.",
      1,
    ),
  }),
  "Messages of the LAN bus.",
);
export type MqttSourceConfig = z.infer<typeof mqttSourceSchema>;

export const vitalsSourceSchema = described(
  z.strictObject({
    kind: z.literal("vitals"),
    everySeconds: described(seconds.default(1), "How often the machine is looked at, in seconds.", 1),
    key: described(z.string().optional(), "The event's key; default: the device's name.", "gateway"),
    fields: described(z.array(z.string()).min(1).optional(), "Which vitals, in this order; default: all.", [
      "cpu_busy",
      "memory_available",
    ]),
  }),
  "The gateway's own condition: processor, memory, disk, temperature.",
);
export type VitalsSourceConfig = z.infer<typeof vitalsSourceSchema>;

export const scheduleSourceSchema = described(
  z.strictObject({
    kind: z.literal("schedule"),
    cron: described(z.string().min(1), "When, as five or six cron fields.", "*/5 * * * *"),
    timezone: described(
      z.string().optional(),
      "The time zone of the cron fields; default: the machine's.",
      "Europe/Vienna",
    ),
    key: described(z.string().optional(), "The event's key; default: the device's name.", "gateway"),
  }),
  "An event at times of the clock.",
);
export type ScheduleSourceConfig = z.infer<typeof scheduleSourceSchema>;

export const sourceSchema = z.discriminatedUnion("kind", [mqttSourceSchema, vitalsSourceSchema, scheduleSourceSchema]);
export type SourceConfig = z.infer<typeof sourceSchema>;

const actionSchema = z.strictObject({
  tool: described(z.string(), "The tool to use, by name.", "stop-pump"),
  arguments: described(
    z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).default({}),
    "Its arguments; text is a CEL expression.",
    { pump: "event.key" },
  ),
});
const actions = described(z.array(actionSchema).default([]), "What is proposed, one tool after the other.", [
  { tool: "stop-pump", arguments: { pump: "event.key" } },
]);

export const querySchema = z.strictObject({
  tool: described(z.string(), "The tool that asks, of kind query.", "tariff"),
  arguments: described(
    z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).default({}),
    "Its arguments; text is a CEL expression over event and device.",
    { pump: "event.key" },
  ),
});

export const ruleSchema = z.strictObject({
  id: described(z.string().regex(/^[a-z0-9][a-z0-9_-]*$/i), "The rule's name, unique in its agent.", "stop-on-anomaly"),
  when: described(z.string().min(1), "A CEL condition.", "answer.score > 0.9"),
  forSeconds: described(z.number().min(0).default(0), "How long it must hold before the rule fires, in seconds.", 5),
  clearWhen: described(
    z.string().min(1).optional(),
    "A CEL condition that ends the firing; default: `when` no longer holds.",
    "answer.score < 0.6",
  ),
  cooldownSeconds: described(
    z.number().min(0).default(0),
    "How long after firing the rule may not fire again, in seconds.",
    600,
  ),
  do: actions,
});
export type RuleConfig = z.infer<typeof ruleSchema>;

export const windowSchema = z.strictObject({
  seconds: described(seconds, "How far back the window reaches, in seconds of event time.", 60),
  lateSeconds: described(z.number().min(0).default(0), "How late a reading may come, in seconds of event time.", 5),
  minimumCoverage: described(
    z.number().min(0).max(1).default(0),
    "No pass is opened while less of the window than this share is covered.",
    0.5,
  ),
  maxKeys: described(
    z.number().int().positive().default(10000),
    "How many keys are kept; the one not seen for longest goes first.",
    10000,
  ),
  maxReadings: described(
    z.number().int().positive().default(100000),
    "How many readings are kept a key and field.",
    100000,
  ),
  expectEverySeconds: described(
    seconds.optional(),
    "How often a reading is due, in seconds: coverage is then counted, not spanned.",
    1,
  ),
  durability: described(
    z.enum(["journal", "checkpoint"]).optional(),
    "How the window outlives a restart; default: journal for safety and action, else checkpoint.",
    "journal",
  ),
  checkpointSeconds: described(
    seconds.default(10),
    "With checkpoints: how often changed keys are written, in seconds.",
    10,
  ),
});

export const agentSchema = z.strictObject({
  enabled: described(z.boolean().default(true), "A disabled agent is checked but not run.", true),
  priority: described(z.enum(priorities).default("monitor"), "Who goes first when there is too much to do.", "safety"),
  sources: described(z.array(sourceSchema).min(1).max(8), "Where events come from; several are joined by key.", [
    { kind: "vitals", everySeconds: 1 },
  ]),
  event: described(
    z
      .strictObject({
        id: described(
          z
            .strictObject({
              path: described(z.string().min(1), "Where the message's id stands in the payload.", "msgId"),
            })
            .optional(),
          "A message that comes twice with the same id is one decision.",
        ),
        futureSeconds: described(
          seconds.default(3600),
          "A reading further in the future than this is invalid, in seconds.",
          3600,
        ),
      })
      .prefault({}),
    "What is known of each event.",
  ),
  open: described(
    z
      .union([
        z.strictObject({ on: z.literal("event") }),
        z.strictObject({
          everySeconds: described(seconds, "A pass every so many seconds, for each key with news.", 1),
        }),
      ])
      .default({ on: "event" }),
    "When a pass is opened: on each event, or every so many seconds for each key with news.",
    { on: "event" },
    { everySeconds: 1 },
  ),
  coalesce: described(z.literal("latest").optional(), "While events wait, keep only the newest of each key.", "latest"),
  deadlineSeconds: described(seconds.default(5), "A pass not answered by then takes the fallback, in seconds.", 5),
  window: described(
    windowSchema.optional(),
    "Recent readings of each key, for features; without it an event's fields go to the model as they are.",
  ),
  maxKeys: described(z.number().int().positive().default(10000), "Without a window: how many keys are kept.", 10000),
  features: described(
    z.record(fieldName, z.string()).optional(),
    "Numbers computed from the window, by name and in the order of the model's inputs.",
    { vib_rms: "rms(vibration)" },
  ),
  model: described(
    z.string().optional(),
    "The model that answers; without one the rules see only event and features.",
    "pump-anomaly",
  ),
  queries: described(
    z.record(fieldName, querySchema).optional(),
    "What rules want to know beside the event, by name: query.NAME in their expressions.",
    { tariff: { tool: "tariff", arguments: { site: "device.labels.site" } } },
  ),
  rules: described(z.array(ruleSchema).default([]), "Conditions, and what is proposed while they hold.", [
    { id: "stop-on-anomaly", when: "answer.score > 0.9", do: [{ tool: "stop-pump" }] },
  ]),
  fallback: described(
    z.strictObject({ do: actions }).optional(),
    "When there is no answer (late, invalid, shed, host down): proposed once per key when that begins, recorded again when it ends.",
  ),
  silence: described(
    z
      .strictObject({
        afterSeconds: described(seconds, "How long a key may say nothing, in seconds.", 300),
        do: actions,
      })
      .optional(),
    "When a key falls silent: proposed once, until it speaks again.",
  ),
  record: described(
    z
      .strictObject({
        quiet: described(
          z.enum(["all", "changes", "sample"]).default("sample"),
          "Which passes without a fired rule are written down one by one; all are counted.",
          "sample",
        ),
        probability: described(
          z.number().gt(0).max(1).default(0.01),
          "With `sample`: the share that is written down.",
          0.01,
        ),
      })
      .prefault({}),
    "What is written down of passes in which no rule fired.",
  ),
});
export type AgentConfig = z.infer<typeof agentSchema>;
