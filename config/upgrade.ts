import { atValue, type Finding } from "./problems.ts";

/** The version of the format that this program writes and reads. */
export const CURRENT_VERSION = 1;

export type Raw = Readonly<Record<string, unknown>>;

/** One pure step each: `steps[0]` makes version 2 of version 1. There is only version 1 yet. */
const steps: readonly ((file: Raw) => Raw)[] = [];

export type Upgraded = { readonly ok: true; readonly value: Raw } | { readonly ok: false; readonly finding: Finding };

/** Brings the content of an older file to today's version. What is no version at all is left for the schema to refuse. */
export function upgrade(file: Raw): Upgraded {
  const version = file["schemaVersion"] ?? CURRENT_VERSION;
  if (typeof version !== "number" || !Number.isInteger(version) || version < 1) return { ok: true, value: file };
  if (version > CURRENT_VERSION) {
    const message = `this file is of version ${version}, this program reads versions up to ${CURRENT_VERSION}`;
    return {
      ok: false,
      finding: atValue(["schemaVersion"], message, "It was written for a newer Holdfast: install that one."),
    };
  }
  return { ok: true, value: steps.slice(version - 1).reduce((value, step) => step(value), file) };
}
