import { z } from "zod";

const described = <T extends z.ZodType>(schema: T, description: string, ...examples: unknown[]): T =>
  schema.meta({ description, examples }) as T;

export const priorities = ["safety", "action", "monitor", "background"] as const;
export type Priority = (typeof priorities)[number];

const seconds = z.number().positive();

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

const fields = z.record(z.string().regex(/^[a-zA-Z_]\w*$/), fieldSchema);

export const timestampSchema = z.strictObject({
  path: described(z.string().optional(), "Where the time stands in a JSON payload.", "ts"),
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

export const mqttSourceSchema = z.strictObject({
  kind: z.literal("mqtt"),
  topic: described(
    z.string().min(1),
    "The topic on the LAN bus; `{name}` is one level with a name, + and # as in MQTT.",
    "plant/{pump}/telemetry",
  ),
  key: described(
    z.union([z.string(), z.strictObject({ path: z.string() })]).optional(),
    "What the event is about: the name of a topic level, or a path in the payload; default: the whole topic.",
    "pump",
  ),
  format: described(z.enum(["json", "scalar", "csv"]).default("json"), "How the payload is written.", "json"),
  separator: described(z.string().length(1).default(","), "Between the columns of a CSV payload.", ";"),
  header: described(z.array(z.string()).optional(), "Names of the columns of a CSV payload.", ["time", "value"]),
  timestamp: timestampSchema.optional(),
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
});
export type MqttSourceConfig = z.infer<typeof mqttSourceSchema>;

export const vitalsSourceSchema = z.strictObject({
  kind: z.literal("vitals"),
  everySeconds: described(seconds.default(1), "How often the machine is looked at, in seconds.", 1),
  key: described(z.string().optional(), "The event's key; default: the device's name.", "gateway"),
  fields: described(z.array(z.string()).min(1).optional(), "Which vitals, in this order; default: all.", [
    "cpu_busy",
    "memory_available",
  ]),
});
export type VitalsSourceConfig = z.infer<typeof vitalsSourceSchema>;

export const scheduleSourceSchema = z.strictObject({
  kind: z.literal("schedule"),
  cron: described(z.string(), "When, as five or six cron fields.", "*/5 * * * *"),
  timezone: described(
    z.string().optional(),
    "The time zone of the cron fields; default: the machine's.",
    "Europe/Vienna",
  ),
  key: described(z.string().optional(), "The event's key; default: the device's name.", "gateway"),
});
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
const actions = z.array(actionSchema).default([]);

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
  sources: described(z.array(sourceSchema).min(1).max(8), "Where events come from; several are joined by key."),
  event: z
    .strictObject({
      id: z
        .strictObject({ path: described(z.string(), "Where the message's id stands in the payload.", "msgId") })
        .optional(),
      futureSeconds: described(
        seconds.default(3600),
        "A reading further in the future than this is invalid, in seconds.",
        3600,
      ),
    })
    .prefault({}),
  open: described(
    z
      .union([z.strictObject({ on: z.literal("event") }), z.strictObject({ everySeconds: seconds })])
      .default({ on: "event" }),
    "When a pass is opened: on each event, or every so many seconds for each key with news.",
    { everySeconds: 1 },
  ),
  coalesce: described(z.literal("latest").optional(), "While events wait, keep only the newest of each key.", "latest"),
  deadlineSeconds: described(seconds.default(5), "A pass not answered by then takes the fallback, in seconds.", 5),
  window: windowSchema.optional(),
  maxKeys: described(z.number().int().positive().default(10000), "Without a window: how many keys are kept.", 10000),
  features: described(
    z.record(z.string().regex(/^[a-zA-Z_]\w*$/), z.string()).optional(),
    "Numbers computed from the window, by name and in the order of the model's inputs.",
    { vib_rms: "rms(vibration)" },
  ),
  model: described(
    z.string().optional(),
    "The model that answers; without one the rules see only event and features.",
    "pump-anomaly",
  ),
  rules: described(z.array(ruleSchema).default([]), "What is proposed, and when."),
  fallback: z.strictObject({ do: actions }).optional(),
  silence: z
    .strictObject({ afterSeconds: described(seconds, "How long a key may say nothing, in seconds.", 300), do: actions })
    .optional(),
  record: z
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
});
export type AgentConfig = z.infer<typeof agentSchema>;
