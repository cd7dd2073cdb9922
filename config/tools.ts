import { z } from "zod";
import { described } from "./described.ts";

const seconds = z.number().positive();

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
  idempotent: described(z.boolean().default(false), "Doing it twice is the same as doing it once.", true),
  timeoutSeconds: described(seconds.default(5), "How long one try may take, in seconds.", 2),
  executeWithinSeconds: described(seconds.default(30), "After this it is not done any more, in seconds.", 10),
  limits: described(
    z
      .strictObject({
        perMinute: described(z.number().positive().optional(), "At most so many a minute.", 6),
        perTargetPerHour: described(z.number().positive().optional(), "At most so many an hour for one target.", 10),
        minimumSecondsBetween: described(z.number().min(0).optional(), "At least so long between two, in seconds.", 5),
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
          "A CEL condition over `payload` that shows the effect.",
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
      topic: described(z.string(), "The command's topic; {name} is an argument.", "plant/{pump}/command"),
      payload: described(named.default({}), "The command's payload.", { cmd: "stop" }),
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
      body: described(named.default({}), "The request's body.", { text: "hot" }),
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
      topic: described(z.string().optional(), "Topic of an MQTT request.", "plant/{pump}/get"),
      endpoint: described(z.string().optional(), "Endpoint of an HTTP GET.", "tariff"),
      freshForSeconds: described(seconds.default(60), "How long an answer may be used again, in seconds.", 60),
      ...common,
    }),
    "A question that changes nothing.",
  ),
]);
export type ToolConfig = z.infer<typeof toolSchema>;
