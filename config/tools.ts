import { z } from "zod";
import { described } from "./described.ts";

const seconds = z.number().positive();
const level = z.string().min(1);

const interlocksSchema = z.strictObject({
  requires: described(
    z
      .array(
        z.strictObject({
          topic: described(level, "Where the reading comes from; {name} is an argument.", "plant/{pump}/pressure"),
          when: described(
            z.string().min(1),
            "A CEL condition over `payload` and `arguments` that has to hold.",
            "payload.bar < 6",
          ),
          maxAgeSeconds: described(seconds, "How old the reading may be, in seconds; an older one is a no.", 10),
        }),
      )
      .default([]),
    "Readings that have to say yes at the moment of the effect.",
    [{ topic: "plant/{pump}/pressure", when: "payload.bar < 6", maxAgeSeconds: 10 }],
  ),
  exclusive: described(
    z
      .strictObject({
        group: described(level, "Tools that name the same group exclude each other's targets.", "water-main"),
        holdSeconds: described(
          z.number().min(0).default(0),
          "How long after an action on one target another target is still refused, in seconds.",
          60,
        ),
      })
      .optional(),
    "At most one target of a group at a time.",
    { group: "water-main", holdSeconds: 60 },
  ),
});

const common = {
  class: described(
    z.enum(["notify", "reversible", "consequential", "critical"]).default("consequential"),
    "How much the effect matters.",
    "reversible",
  ),
  safeDirection: described(
    z.boolean().default(false),
    "The effect leads to the safe state: it needs no approval.",
    true,
  ),
  target: described(
    level.optional(),
    "What an action is about, of its arguments: limits and interlocks count by it. Default: the topic of an mqtt tool, else the tool as a whole.",
    "{pump}",
  ),
  idempotent: described(z.boolean().default(false), "Doing it twice is the same as doing it once.", true),
  timeoutSeconds: described(seconds.default(5), "How long one try may take, in seconds.", 2),
  executeWithinSeconds: described(seconds.default(30), "After this it is not done any more, in seconds.", 10),
  approveWithinSeconds: described(
    seconds.default(900),
    "How long a proposal waits for a yes, in seconds; then it is denied.",
    900,
  ),
  retries: described(
    z.number().int().min(0).max(10).default(2),
    "How often an idempotent tool is tried again; others never are.",
    2,
  ),
  breaker: described(
    z
      .strictObject({
        failures: described(z.number().int().positive().default(5), "Failures in a row that open the breaker.", 5),
        openSeconds: described(seconds.default(30), "How long the tool then rests, in seconds.", 30),
      })
      .prefault({}),
    "A tool that keeps failing rests for a while.",
  ),
  interlocks: described(interlocksSchema.optional(), "What has to be so at the moment of the effect."),
  limits: described(
    z
      .strictObject({
        perMinute: described(z.number().int().positive().optional(), "At most so many in any minute.", 6),
        perTargetPerHour: described(
          z.number().int().positive().optional(),
          "At most so many in any hour for one target.",
          10,
        ),
        minimumSecondsBetween: described(
          z.number().min(0).optional(),
          "At least so long between two for one target, in seconds.",
          5,
        ),
      })
      .optional(),
    "How often it may be used.",
  ),
  verify: described(
    z
      .strictObject({
        topic: described(z.string(), "Where the effect can be read back.", "plant/{pump}/state"),
        when: described(
          z.string(),
          "A CEL condition over `payload` and `arguments` that shows the effect.",
          "payload.running == false",
        ),
        withinSeconds: described(seconds, "How soon it must show, in seconds.", 3),
      })
      .optional(),
    "How the effect is read back.",
  ),
};

const named = z.record(z.string(), z.unknown());

export const toolSchema = z.discriminatedUnion("kind", [
  described(
    z.strictObject({
      kind: z.literal("mqtt"),
      topic: described(level, "The command's topic; {name} is an argument.", "plant/{pump}/command"),
      payload: described(named.default({}), "The command's payload; {name} is an argument.", { cmd: "stop" }),
      payloadId: described(
        z.enum(["_id", "none"]).default("_id"),
        "Whether the payload carries the idempotency key.",
        "_id",
      ),
      ...common,
    }),
    "A command on the LAN bus.",
  ),
  described(
    z.strictObject({
      kind: z.literal("webhook"),
      endpoint: described(z.string(), "The endpoint's name in the gateway's file.", "alerts"),
      method: described(z.enum(["POST", "PUT", "PATCH"]).default("POST"), "The request's method.", "POST"),
      body: described(named.default({}), "The request's body, sent as JSON; {name} is an argument.", { text: "hot" }),
      ...common,
    }),
    "A call of a web address.",
  ),
  described(
    z.strictObject({
      kind: z.literal("command"),
      program: described(z.string(), "The program's name in the gateway's file.", "valve"),
      ...common,
    }),
    "A program on this gateway.",
  ),
  described(
    z.strictObject({
      kind: z.literal("notify"),
      to: described(z.array(z.string()).default([]), "People to tell, by name.", ["maria"]),
      via: described(z.enum(["log", "journal", "mail", "webhook"]).default("log"), "How they are told.", "log"),
      endpoint: described(
        z.string().optional(),
        "With via: webhook, the endpoint's name in the gateway's file.",
        "alerts",
      ),
      ...common,
      class: described(
        z.enum(["notify", "reversible", "consequential", "critical"]).default("notify"),
        "How much the effect matters.",
        "notify",
      ),
    }),
    "Words to people.",
  ),
  described(
    z.strictObject({
      kind: z.literal("handoff"),
      to: described(z.array(z.string()).default([]), "People who may take the task.", ["maria"]),
      ...common,
    }),
    "A task for a person.",
  ),
  described(
    z.strictObject({
      kind: z.literal("query"),
      topic: described(level.optional(), "Topic of an MQTT request; {name} is an argument.", "plant/{pump}/get"),
      replyTopic: described(level.optional(), "Where the answer comes.", "plant/{pump}/get/reply"),
      payload: described(named.default({}), "The request's payload; {name} is an argument.", { want: "state" }),
      correlate: described(
        z.boolean().default(true),
        "The answer repeats the request's `_id`; without it the first message after the request is the answer.",
        true,
      ),
      endpoint: described(
        z.string().optional(),
        "Endpoint of an HTTP GET, by its name in the gateway's file; arguments become parameters of its URL.",
        "tariff",
      ),
      freshForSeconds: described(seconds.default(60), "How long an answer may be used again, in seconds.", 60),
      ...common,
    }),
    "A question that changes nothing.",
  ),
]);
export type ToolConfig = z.infer<typeof toolSchema>;
