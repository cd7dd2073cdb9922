import { type PublishTemplate, publishTemplate } from "./packets.ts";

export interface Feed {
  readonly topic: string;
  readonly qos: 0 | 1;
  readonly fields: readonly string[];
  readonly keys: number;
}

export const VARIANTS = 1024;
/** Where a reading is high the valve has to be open, where it is low it has to be closed. */
export const HIGH = 50;

/** Readings of about 3 to 5 significant digits that wander around a middle, the same in every run. */
export function makeTemplates({ topic, qos, fields, keys }: Feed): PublishTemplate[] {
  return readings(fields.length).map((values, at) => publishTemplate(topic, qos, keyOf(at, keys), fields, values));
}

/** The same, with a first field that goes up and down: of one key each message crosses the limit, in turns. */
export function makeSwinging({ topic, qos, fields, keys }: Feed): PublishTemplate[] {
  return readings(fields.length).map((values, at) => {
    const first = HIGH + (Math.floor(at / keys) % 2 === 0 ? 20 : -20);
    return publishTemplate(topic, qos, keyOf(at, keys), fields, [first, ...values.slice(1)]);
  });
}

function keyOf(at: number, keys: number): string {
  return `pump-${String(at % keys).padStart(2, "0")}`;
}

function readings(width: number): number[][] {
  let seed = 12345;
  const random = (): number => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed / 2 ** 32;
  };
  return Array.from({ length: VARIANTS }, () =>
    Array.from({ length: width }, (_, field) =>
      Number((20 + field + 6 * (random() + random() + random() - 1.5)).toPrecision(3 + (field % 3))),
    ),
  );
}
