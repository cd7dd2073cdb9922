/** Why a payload is no event. Those about one field are followed by a colon and its name. */
export const invalidReasons = {
  tooLarge: "The payload is larger than the bus allows.",
  empty: "The payload is empty.",
  notUtf8: "The payload is not UTF-8 text.",
  notJson: "The payload is not JSON.",
  notAnObject: "The payload is JSON, but not an object.",
  tooDeep: "The payload is nested too deep.",
  duplicateKey: "An object in the payload has a key twice: nobody can say which value is meant.",
  forbiddenKey: "An object in the payload has the key __proto__.",
  badCsv: "The payload is not one row of CSV.",
  missingField: "A field is missing that must be there.",
  wrongType: "A field is not of its configured type.",
  notFinite: "A field's number is infinite or not a number.",
  outOfRange: "A field is outside its believable range.",
  tooLong: "A field's text is too long.",
  missingTimestamp: "The event's time is missing.",
  badTimestamp: "The event's time can not be read, or is before 1970 or after 2200.",
  missingKey: "The event's key is missing.",
  badKey: "The event's key is empty, too long, or not plain text.",
  badEventId: "The event's id is empty, too long, or not plain text.",
} as const;

export type InvalidReason = keyof typeof invalidReasons;

/** A payload that is no event. `reason` is a code of `invalidReasons`, with `:field` where it is about one. */
export interface Invalid {
  readonly ok: false;
  readonly reason: string;
}

/** Made once when a source is compiled: refusing a payload costs no more than returning one of them. */
export function invalid(reason: InvalidReason, field?: string): Invalid {
  return Object.freeze({ ok: false, reason: field === undefined ? reason : `${reason}:${field}` });
}
