/** A topic as a person writes it: MQTT's wildcards, and `{name}` for one level with a name. */
export interface TopicPattern {
  /** The same for the broker: names are `+`. */
  readonly filter: string;
  readonly names: readonly { readonly name: string; readonly level: number }[];
}

export type PatternResult =
  | { readonly ok: true; readonly pattern: TopicPattern }
  | { readonly ok: false; readonly reason: string };

const NAME = /^\{([A-Za-z_]\w*)\}$/;
/** More levels than this no broker takes everywhere, and the embedded one stops at 100. */
const MAX_LEVELS = 64;
const MAX_BYTES = 1024;

export function parseTopicPattern(text: string): PatternResult {
  if (text === "") return refused("a topic must not be empty");
  if (Buffer.byteLength(text) > MAX_BYTES) return refused(`a topic may have ${MAX_BYTES} bytes`);
  if (text.includes("\0")) return refused("a topic must not have a null character");
  const levels = text.split("/");
  if (levels.length > MAX_LEVELS) return refused(`a topic may have ${MAX_LEVELS} levels`);
  const names: { name: string; level: number }[] = [];
  const filter: string[] = [];
  for (const [at, level] of levels.entries()) {
    const name = NAME.exec(level)?.[1];
    if (name === undefined) {
      const reason = wrongLevel(level, at === levels.length - 1);
      if (reason !== undefined) return refused(reason);
      filter.push(level);
      continue;
    }
    if (names.some((other) => other.name === name)) return refused(`{${name}} stands twice`);
    names.push({ name, level: at });
    filter.push("+");
  }
  return { ok: true, pattern: { filter: filter.join("/"), names } };
}

function wrongLevel(level: string, isLast: boolean): string | undefined {
  if (level.includes("{") || level.includes("}"))
    return `"${level}": a name in braces must be a whole level, of letters, digits and _`;
  if (level === "#" && !isLast) return "# may only be the last level";
  if (level.length > 1 && (level.includes("#") || level.includes("+")))
    return `"${level}": + and # must be a whole level`;
  return undefined;
}

function refused(reason: string): PatternResult {
  return { ok: false, reason };
}

/** Whether the filter asks for the topic. Wildcards at the front do not reach topics that begin with $. */
export function topicMatches(filter: string, topic: string): boolean {
  return covers(filter, topic);
}

/** Whether each topic that `narrow` asks for is asked for by `wide` too. */
export function covers(wide: string, narrow: string): boolean {
  if (isHidden(wide, narrow)) return false;
  const a = wide.split("/");
  const b = narrow.split("/");
  for (const [at, level] of a.entries()) {
    // MQTT 5, 4.7.1.2: "sport/#" also matches "sport" itself.
    if (level === "#") return true;
    const other = b[at];
    if (other === undefined || other === "#") return false;
    if (level !== "+" && level !== other) return false;
  }
  return a.length === b.length;
}

/** Whether there is a topic that both ask for. */
export function overlaps(one: string, two: string): boolean {
  if (isHidden(one, two) || isHidden(two, one)) return false;
  const a = one.split("/");
  const b = two.split("/");
  for (let at = 0; ; at += 1) {
    const left = a[at];
    const right = b[at];
    if (left === "#" || right === "#") return true;
    if (left === undefined || right === undefined) return left === right;
    if (left !== "+" && right !== "+" && left !== right) return false;
  }
}

function isHidden(filter: string, other: string): boolean {
  return other.startsWith("$") && (filter.startsWith("#") || filter.startsWith("+"));
}

/** Finds the values whose filters match a topic: a tree by levels. */
export class TopicTree<T> {
  readonly #root = new Level<T>();

  add(filter: string, value: T): void {
    let level = this.#root;
    for (const name of filter.split("/")) level = level.child(name);
    level.values.push(value);
  }

  /** In no particular order. */
  match(topic: string): T[] {
    const found: T[] = [];
    collect(this.#root, topic.split("/"), 0, topic.startsWith("$"), found);
    return found;
  }
}

class Level<T> {
  readonly values: T[] = [];
  readonly children = new Map<string, Level<T>>();

  child(name: string): Level<T> {
    let child = this.children.get(name);
    if (child === undefined) {
      child = new Level();
      this.children.set(name, child);
    }
    return child;
  }
}

function collect<T>(level: Level<T>, topic: readonly string[], at: number, isSystem: boolean, found: T[]): void {
  const mayBeWild = at > 0 || !isSystem;
  const rest = mayBeWild ? level.children.get("#") : undefined;
  if (rest !== undefined) found.push(...rest.values);
  const name = topic[at];
  if (name === undefined) {
    found.push(...level.values);
    return;
  }
  const any = mayBeWild ? level.children.get("+") : undefined;
  if (any !== undefined) collect(any, topic, at + 1, isSystem, found);
  // A topic has no wildcards; a hostile one with a level "+" must not find the wildcard a second time.
  const exact = name === "+" || name === "#" ? undefined : level.children.get(name);
  if (exact !== undefined) collect(exact, topic, at + 1, isSystem, found);
}

/** Remembers what was found for a topic. Bounded: two halves, of which the older one is forgotten whole. */
export class TopicCache<V> {
  readonly #half: number;
  #young = new Map<string, V>();
  #old = new Map<string, V>();

  constructor(maxTopics: number) {
    this.#half = Math.max(1, Math.floor(maxTopics / 2));
  }

  get size(): number {
    return this.#young.size + this.#old.size;
  }

  get(topic: string): V | undefined {
    const value = this.#young.get(topic);
    if (value !== undefined) return value;
    const older = this.#old.get(topic);
    if (older !== undefined) this.set(topic, older);
    return older;
  }

  set(topic: string, value: V): void {
    // Long topics are not worth their memory: whoever sends them pays with time.
    if (topic.length > 256) return;
    this.#young.set(topic, value);
    if (this.#young.size < this.#half) return;
    this.#old = this.#young;
    this.#young = new Map();
  }
}
