import type { MqttSourceConfig } from "../../config/agents.ts";
import type { BusMessage, Subscription } from "../bus/bus.ts";
import type { Clock } from "../clock.ts";
import { type Settled, SharedReceipt } from "../delivery.ts";
import { SourceError } from "./errors.ts";
import { compileSource, MAX_KEY_CHARS, type Parsed, type ParsePayload } from "./payload.ts";
import { isPlain } from "./plain-text.ts";
import { parseTopicPattern, TopicCache, type TopicPattern, TopicTree } from "./topics.ts";

/** Where the events of one agent go. Whoever takes one with `settled` releases it once. */
export interface EventSink {
  /** `topic` is what an invalid message is known by: its key may not be readable. */
  take(source: number, parsed: Parsed, message: BusMessage, receivedMs: number, settled: Settled | undefined): void;
}

/** One MQTT source of one agent. */
export interface MqttBinding {
  readonly sink: EventSink;
  /** Which of the agent's sources it is. */
  readonly source: number;
  readonly config: MqttSourceConfig;
  /** All fields of the agent, in the order of its rows. */
  readonly fields: readonly string[];
  readonly eventIdPath: string | undefined;
}

export interface MqttSourcesDeps {
  readonly clock: Pick<Clock, "wallMs">;
  readonly maxPayloadBytes: number;
}

interface Target {
  readonly sink: EventSink;
  readonly source: number;
  readonly parse: ParsePayload;
  readonly usesRetained: boolean;
  /** Whether the sender's acknowledgement waits for this agent. */
  readonly holds: boolean;
  /** Level of the topic that is the key; -1: the whole topic. */
  readonly keyLevel: number;
}

interface Route {
  readonly target: Target;
  readonly key: string | undefined;
}

/** Targets of one topic, with what depends on the topic alone already done. */
interface Routes {
  readonly all: readonly Route[];
  readonly holding: number;
}

const MAX_CACHED_TOPICS = 10_000;

/** Offers each message of the bus to the agents whose sources ask for its topic. */
export class MqttSources {
  readonly subscriptions: readonly Subscription[];
  readonly #deps: MqttSourcesDeps;
  readonly #tree = new TopicTree<Target>();
  readonly #cache = new TopicCache<Routes>(MAX_CACHED_TOPICS);

  /** Throws a `SourceError` for a source that can not work as configured. */
  constructor(bindings: readonly MqttBinding[], deps: MqttSourcesDeps) {
    this.#deps = deps;
    const wanted: Subscription[] = [];
    for (const binding of bindings) {
      const pattern = patternOf(binding.config.topic);
      this.#tree.add(pattern.filter, compileTarget(binding, pattern, deps.maxPayloadBytes));
      wanted.push({ filter: pattern.filter, qos: binding.config.qos, retained: binding.config.retained === "use" });
    }
    this.subscriptions = wanted;
  }

  /** One message from the bus. */
  accept(message: BusMessage): void {
    const routes = this.#routes(message.topic);
    const { receipt } = message;
    if (routes.all.length === 0 || message.retain) {
      this.#acceptStored(routes, message);
      return;
    }
    const holding = receipt === undefined ? 0 : routes.holding;
    if (holding === 0) receipt?.release();
    const settled = holding > 1 && receipt !== undefined ? new SharedReceipt(receipt, holding) : receipt;
    const receivedMs = this.#deps.clock.wallMs();
    for (let at = 0; at < routes.all.length; at += 1) {
      const { target, key } = routes.all[at] as Route;
      const parsed = target.parse(message.payload, key);
      target.sink.take(target.source, parsed, message, receivedMs, target.holds ? settled : undefined);
    }
  }

  /** A message that the broker had stored goes to those that asked for such; what nobody wants is done with. */
  #acceptStored(routes: Routes, message: BusMessage): void {
    const receivedMs = this.#deps.clock.wallMs();
    const takers = routes.all.filter((route) => route.target.usesRetained);
    const holding = takers.filter((route) => route.target.holds).length;
    const { receipt } = message;
    if (holding === 0) receipt?.release();
    const settled = receipt === undefined || holding === 0 ? undefined : new SharedReceipt(receipt, holding);
    for (const { target, key } of takers) {
      target.sink.take(
        target.source,
        target.parse(message.payload, key),
        message,
        receivedMs,
        target.holds ? settled : undefined,
      );
    }
  }

  #routes(topic: string): Routes {
    const known = this.#cache.get(topic);
    if (known !== undefined) return known;
    const levels = topic.split("/");
    const all = this.#tree.match(topic).map((target) => ({ target, key: keyOf(target, topic, levels) }));
    const routes = { all, holding: all.filter((route) => route.target.holds).length };
    this.#cache.set(topic, routes);
    return routes;
  }
}

function patternOf(topic: string): TopicPattern {
  const result = parseTopicPattern(topic);
  if (result.ok) return result.pattern;
  throw new SourceError("SOURCE_TOPIC", { topic, reason: result.reason }, { hint: result.reason });
}

function compileTarget(binding: MqttBinding, pattern: TopicPattern, maxBytes: number): Target {
  const { config, sink, source, fields, eventIdPath } = binding;
  return {
    sink,
    source,
    parse: compileSource({ source: config, fields, eventIdPath, maxBytes }),
    usesRetained: config.retained === "use",
    holds: config.qos === 1,
    keyLevel: keyLevel(config, pattern),
  };
}

function keyLevel(config: MqttSourceConfig, pattern: TopicPattern): number {
  const { key } = config;
  if (typeof key !== "string") return -1;
  const named = pattern.names.find((other) => other.name === key);
  if (named !== undefined) return named.level;
  const names = pattern.names.map((other) => `{${other.name}}`).join(", ");
  const hint =
    names === ""
      ? `Write the level as {${key}} in the topic, or give the key as { path: ${key} }.`
      : `The topic names: ${names}.`;
  throw new SourceError("SOURCE_KEY", { key, topic: config.topic }, { hint });
}

function keyOf(target: Target, topic: string, levels: readonly string[]): string | undefined {
  const key = target.keyLevel < 0 ? topic : levels[target.keyLevel];
  return key !== undefined && isPlain(key, MAX_KEY_CHARS) ? key : undefined;
}
