/** A name for one level of a source's topic: `{pump}`. */
const NAMED_LEVEL = /^\{([A-Za-z_]\w*)\}$/;
const MOST_LEVELS = 64;
const MOST_BYTES = 1024;

export interface TopicSyntax {
  /** Names of levels, in order. */
  readonly names: readonly string[];
  readonly mistake: string | undefined;
}

/** Reads a source's topic: text levels, + and # as in MQTT, and levels with a name. */
export function readTopic(topic: string): TopicSyntax {
  const levels = topic.split("/");
  const names = levels.flatMap((level) => NAMED_LEVEL.exec(level)?.[1] ?? []);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  const mistake = levelsMistake(levels) ?? (twice === undefined ? undefined : `two levels are named {${twice}}`);
  return { names, mistake };
}

/** What is wrong with a plain MQTT topic filter, as an access list has it. */
export function clientTopicMistake(topic: string): string | undefined {
  return topic.includes("{")
    ? "names in braces are for the topics of sources: write + for one level"
    : levelsMistake(topic.split("/"));
}

function levelsMistake(levels: readonly string[]): string | undefined {
  const text = levels.join("/");
  if (text === "") return "a topic is not empty";
  if (text.includes("\0")) return "a topic has no null character";
  if (levels.length > MOST_LEVELS) return `a topic has at most ${MOST_LEVELS} levels, found ${levels.length}`;
  if (Buffer.byteLength(text) > MOST_BYTES) return `a topic has at most ${MOST_BYTES} bytes`;
  for (const [index, level] of levels.entries()) {
    if (level === "#" && index < levels.length - 1) return "# may only be the last level of a topic";
    if (level === "#" || level === "+" || NAMED_LEVEL.test(level)) continue;
    if (/[#+]/.test(level)) return `the level "${level}" mixes a wildcard with text: + and # stand alone`;
    if (/[{}]/.test(level)) return `the level "${level}": a name in braces is a whole level, of letters, digits and _`;
  }
  return undefined;
}
