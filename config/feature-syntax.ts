/** The functions that a feature may use; those of `withNumber` take a second argument. */
export const featureFunctions = [
  "last",
  "first",
  "count",
  "sum",
  "mean",
  "std",
  "var",
  "min",
  "max",
  "range",
  "rms",
  "slope",
  "delta",
  "quantile",
  "median",
  "kurtosis",
  "skew",
  "zeroCrossings",
] as const;
export type FeatureFunction = (typeof featureFunctions)[number];

export interface FeatureCall {
  readonly fn: FeatureFunction;
  readonly field: string;
  readonly argument: number | undefined;
}

export type ParsedFeature =
  | { readonly ok: true; readonly call: FeatureCall }
  | { readonly ok: false; readonly message: string; readonly unknown?: string };

const CALL = /^\s*([A-Za-z]\w*)\s*\(\s*([A-Za-z_]\w*)\s*(?:,\s*([-+]?[\d.]+(?:[eE][-+]?\d+)?)\s*)?\)\s*$/;

/** Parses `rms(vibration)` or `quantile(vibration, 0.95)`. */
export function parseFeature(text: string): ParsedFeature {
  const found = CALL.exec(text);
  if (found === null)
    return { ok: false, message: `expected a feature such as mean(field) or quantile(field, 0.95), found "${text}"` };
  const [, name, field, number] = found;
  if (!(featureFunctions as readonly string[]).includes(name as string)) {
    return { ok: false, message: `there is no feature function "${name}"`, unknown: name as string };
  }
  const fn = name as FeatureFunction;
  const argument = number === undefined ? undefined : Number(number);
  if (fn === "quantile" && !(argument !== undefined && argument >= 0 && argument <= 1)) {
    return { ok: false, message: "quantile needs a second argument from 0 to 1, as in quantile(field, 0.95)" };
  }
  if (fn !== "quantile" && argument !== undefined)
    return { ok: false, message: `${fn} takes only a field, found a second argument` };
  return { ok: true, call: { fn, field: field as string, argument } };
}
