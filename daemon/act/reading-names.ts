import type { Declarations, Leaf, Moment, ValueType } from "../expression-names.ts";
import type { Device } from "../generation.ts";
import type { Arguments } from "./tool.ts";

/** What a condition over a message of the plant sees. */
export interface ReadingSubject {
  readonly payload: unknown;
  readonly arguments: Arguments;
}

/** The names there: the message, what the tool was asked to do, the device and the time. Messages can not be made up, so nothing is tried at load. */
export function readingDeclarations(device: Device): Declarations {
  const subject = ({ payload }: Moment): ReadingSubject | undefined => payload as ReadingSubject | undefined;
  const leaf = (path: string, type: ValueType, read: Leaf["read"]): Leaf => {
    const levels = path.split(".");
    return { name: levels.at(-1) as string, type, path, root: levels[0] as string, read };
  };
  const leaves: Leaf[] = [
    leaf("payload", "any", (moment) => subject(moment)?.payload),
    leaf("arguments", "any", (moment) => subject(moment)?.arguments),
    leaf("device.name", "text", () => device.name),
    ...Object.entries(device.labels).map(
      ([name, value]): Leaf => ({
        ...leaf(`device.labels.${name}`, "text", () => value),
        name,
      }),
    ),
    leaf("now", "number", ({ nowMs }) => nowMs),
  ];
  return { fields: [], features: [], answer: [], windowed: false, device, own: { leaves, moments: [] } };
}
