import { type Command, InvalidArgumentError } from "commander";
import { callAsPerson, callDaemon } from "../api/control-client.ts";
import { dataDirectory, type Where } from "./data.ts";
import type { Io } from "./io.ts";
import { readToken } from "./token.ts";

export interface PersonOptions extends Where {
  readonly tokenFile?: string;
  readonly json?: boolean;
}

/** The options of every verb that a person asks of the running daemon. */
export function personOptions(command: Command): Command {
  return command
    .option("--config <file>", "the gateway's file")
    .option("--data <directory>", "its data directory")
    .option("--token-file <file>", "file with your token; without it you are your user on this machine")
    .option("--json", "as JSON");
}

/** Asks the running daemon as the person who calls. */
export async function askAsPerson(
  options: PersonOptions,
  io: Io,
  verb: string,
  parameters: Readonly<Record<string, unknown>>,
): Promise<unknown> {
  const token = options.tokenFile === undefined ? {} : { token: readToken(options.tokenFile) };
  return await callAsPerson({
    dataDirectory: dataDirectory(options, io),
    verb,
    parameters: { ...parameters, ...token },
  });
}

/** Asks the running daemon what anybody may know. */
export async function askDaemon(options: Where, io: Io, verb: string): Promise<unknown> {
  return await callDaemon({ dataDirectory: dataDirectory(options, io), verb });
}

/** `name=value`: numbers and true or false are what they say; "in quotes" a text stays one. */
export function argumentOption(text: string, before: Readonly<Record<string, string | number | boolean>> = {}) {
  const at = text.indexOf("=");
  if (at < 1) throw new InvalidArgumentError("Give arguments as name=value.");
  return { ...before, [text.slice(0, at)]: argumentValue(text.slice(at + 1)) };
}

function argumentValue(text: string): string | number | boolean {
  if (text === "true" || text === "false") return text === "true";
  if (text !== "" && String(Number(text)) === text && Number.isFinite(Number(text))) return Number(text);
  if (!/^".*"$/s.test(text)) return text;
  try {
    return String(JSON.parse(text));
  } catch {
    return text;
  }
}
