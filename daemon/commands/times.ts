import { InvalidArgumentError } from "commander";

const UNIT_MS: Readonly<Record<string, number>> = {
  s: 1000,
  m: 60_000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

/** `--since` and `--until`: a time (ISO 8601, without a zone: UTC) or an age such as 90s, 15min, 24h, 7d. */
export function timeOption(text: string): number {
  const relative = /^(\d+(?:\.\d+)?)\s*(s|m|min|h|d|w)$/.exec(text);
  if (relative !== null) return Date.now() - Number(relative[1]) * (UNIT_MS[relative[2] ?? "s"] ?? 1000);
  const iso = text.replace(" ", "T");
  const zoned = /(Z|[-+]\d\d:?\d\d)$/.test(iso) || /^\d{4}-\d\d-\d\d$/.test(iso) ? iso : `${iso}Z`;
  const at = Date.parse(zoned);
  if (!Number.isFinite(at))
    throw new InvalidArgumentError('Give a time such as "2026-11-23 07:00" or an age such as 90s, 15min, 24h or 7d.');
  return at;
}

/** A whole number greater than zero. */
export function countOption(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError("Give a whole number greater than 0.");
  return value;
}

/** A number greater than zero. */
export function positiveOption(text: string): number {
  const value = Number(text);
  if (!(value > 0) || !Number.isFinite(value)) throw new InvalidArgumentError("Give a number greater than 0.");
  return value;
}
