import type { ToolConfig } from "../../../config/tools.ts";
import type { Answered, Asker } from "../../queries.ts";
import { fillTopic, fillValue, filterOf } from "../template.ts";
import type { Arguments, BusReading, CommandBus, Gate } from "../tool.ts";
import { answerOf, readAnswer } from "./query-answer.ts";

type Query = Extract<ToolConfig, { kind: "query" }>;

export interface MqttQueryDeps {
  readonly publish: CommandBus["publish"];
  readonly newId: () => string;
  /** Asked in the turn in which the request is written. */
  readonly mayLeave: Gate;
}

/** A question over the bus. Somebody has to pass it what comes on the topics of its filter. */
export interface MqttQuery extends Asker {
  /** Where its answers come, whatever the arguments. */
  readonly filter: string;
  heard(reading: BusReading): void;
}

interface Waiting {
  readonly id: string;
  readonly end: (answer: Answered) => void;
}

const MOST_REPLY_BYTES = 65_536;
/** The name under which a request and its answer carry what they belong together by. */
const ID = "_id";

const NO_TOPIC: Answered = { ok: false, reason: "argument", detail: "an argument does not fit into a topic" };
const STOPPED: Answered = { ok: false, reason: "stopped" };

/** Asks by a message on one topic; the answer is a message on another one. */
export function createMqttQuery(config: Query, deps: MqttQueryDeps): MqttQuery {
  const { topic = "", replyTopic = "", payload, correlate } = config;
  const waiting = new Map<string, Set<Waiting>>();
  return {
    filter: filterOf(replyTopic),
    ask: (given, timeoutMs, signal) =>
      new Promise((resolve) => {
        const to = fillTopic(topic, given);
        const from = fillTopic(replyTopic, given);
        if (to === undefined || from === undefined) return resolve(NO_TOPIC);
        const onAbort = (): void => one.end(STOPPED);
        const one: Waiting = {
          id: deps.newId(),
          end: (answer) => {
            signal.removeEventListener("abort", onAbort);
            remove(waiting, from, one);
            resolve(answer);
          },
        };
        signal.addEventListener("abort", onAbort, { once: true });
        // Before the request: the answer may be there before the broker's own acknowledgement.
        add(waiting, from, one);
        const gate: Gate = () => !signal.aborted && deps.mayLeave();
        const command = {
          topic: to,
          payload: requestOf(payload, given, one.id),
          timeoutMs,
          expirySeconds: Math.max(1, Math.ceil(timeoutMs / 1000)),
          properties: {},
          responseTopic: from,
        };
        void deps.publish(command, gate, signal).then((sent) => {
          // "unknown": it may have come all the same, and then the answer comes.
          if (sent.kind !== "failed") return;
          const { reason } = sent;
          if (reason === "stopped" || reason === "notConnected") one.end({ ok: false, reason });
          else one.end({ ok: false, reason: "unreachable", detail: reason });
        });
      }),
    heard: ({ topic: on, payload: bytes, retained }) => {
      const here = waiting.get(on);
      // What the broker had stored is no answer to anything.
      if (here === undefined || retained || bytes.length > MOST_REPLY_BYTES) return;
      const answer = correlate ? undefined : readAnswer(bytes);
      if (answer !== undefined) for (const one of [...here]) one.end(answer);
      else correlated(bytes, here);
    },
  };
}

function requestOf(payload: Query["payload"], given: Arguments, id: string): Buffer {
  return Buffer.from(JSON.stringify({ ...(fillValue(payload, given) as object), [ID]: id }));
}

/** The answer to one question says its id; it is no part of the value. */
function correlated(bytes: Buffer, here: ReadonlySet<Waiting>): void {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString("utf8"));
  } catch {
    return; // something else that is said there
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return;
  const { [ID]: id, ...rest } = value as Record<string, unknown>;
  for (const one of here) if (one.id === id) one.end(answerOf(rest));
}

function add(waiting: Map<string, Set<Waiting>>, topic: string, one: Waiting): void {
  const here = waiting.get(topic);
  if (here === undefined) waiting.set(topic, new Set([one]));
  else here.add(one);
}

function remove(waiting: Map<string, Set<Waiting>>, topic: string, one: Waiting): void {
  const here = waiting.get(topic);
  here?.delete(one);
  if (here?.size === 0) waiting.delete(topic);
}
