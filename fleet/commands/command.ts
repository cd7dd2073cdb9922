import { randomBytes, randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import type { Command } from "commander";
import { MOST_LIFE_MS, MOST_LOG_LEVEL_MINUTES, readCommand } from "../../sync/command.ts";
import type { Proposal } from "../../sync/records.ts";
import { redact } from "../../sync/redact.ts";
import { gatewayTopics, TOPIC_NAME } from "../../sync/topics.ts";
import { type MadeCommand, madeCommand, signedAnswer } from "../command/making.ts";
import { sendCommand } from "../command/sending.ts";
import { usages, type Wish, wishOf } from "../command/wish.ts";
import { type Fate, fateText } from "../command/words.ts";
import { writeWhole } from "../enrol/kept.ts";
import { FleetError } from "../errors.ts";
import { ownKey } from "../key.ts";
import type { FleetPlace } from "../open.ts";
import { countOption } from "./enrol-place.ts";
import { EXIT_DONE, EXIT_FAILED, EXIT_USAGE, type Io, type RunVerb } from "./io.ts";
import { placeOf, type Where, withFleet } from "./place.ts";
import { safe } from "./text.ts";

interface Options extends Where {
  readonly as?: string;
  readonly key?: string;
  readonly expiresMinutes: number;
  readonly minutes?: number;
  readonly device?: string;
  readonly out?: string;
  readonly json?: boolean;
}

const MINUTE_MS = 60_000;
const EXPIRES_MINUTES = 5;
const LATE_RESULT_MS = 10_000;
/** What the wire takes for a person. */
const MOST_NAME = 64;
const SEND = "send FILE";

export const verb = (io: Io) => (program: Command, run: RunVerb) =>
  void program
    .command("command <gateway> <what> [words...]")
    .description("ask something of a gateway, signed, and wait for what becomes of it")
    .option("--as <name>", "ask as this person of the gateway's file, whose key --key is")
    .option("--key <file>", "the Ed25519 key (PEM) to sign with (default: the fleet's own)")
    .option(
      "--expires-minutes <n>",
      "how long it counts; a gateway that comes back until then still gets it",
      countOption(1, MOST_LIFE_MS / MINUTE_MS),
      EXPIRES_MINUTES,
    )
    .option("--minutes <n>", "log-level: for how long (default: 60)", countOption(1, MOST_LOG_LEVEL_MINUTES))
    .option("--device <name>", "approve, deny: the gateway's device.name (default: its name in the fleet)")
    .option("--out <file>", "write the signed command to a file, and send nothing")
    .option("--config <file>", "the fleet's file (default: ./holdfast-fleet.yaml)")
    .option("--json", "one JSON object")
    .addHelpText("after", `\n${HELP}`)
    .action((gateway: string, what: string, words: readonly string[], options: Options) =>
      run(() => command(gateway, what, words, options, io)),
    );

const HELP = `What may be asked:
${[...usages, SEND].map((usage) => `  ${usage}`).join("\n")}

SCOPE is gateway, agent:NAME or tool:NAME. The fleet's key stops, tightens, changes the log level and asks for a bundle; what needs a role at the
gateway needs the signature of a person who has it (--as, --key), and so does an answer to an action that waits. "send" sends
what --out wrote somewhere else. Exit status 1 when the gateway refuses, or has not answered in time.

Examples:
  holdfast-fleet command plant-7 stop "smoke in hall 3"
  holdfast-fleet command plant-7 mode tool:valve observe
  holdfast-fleet command plant-7 approve 01993a0e-5b1c-7a54-9d5e-0f3c2b1a4d5e --as maria --key maria.pem
  holdfast-fleet command plant-7 log-level debug --minutes 10`;

async function command(
  gateway: string,
  what: string,
  words: readonly string[],
  options: Options,
  io: Io,
): Promise<number> {
  const problem = (text: string): number => {
    io.err(`holdfast-fleet: ${text}\n`);
    return EXIT_USAGE;
  };
  if (!TOPIC_NAME.test(gateway)) return problem("a gateway's name has letters, digits, - and _");
  if (options.as !== undefined && options.key === undefined)
    return problem("--as needs --key: the person's own Ed25519 key");
  if (options.as?.length === 0 || (options.as?.length ?? 0) > MOST_NAME) return problem("--as: this is nobody's name");
  if (what === "send") {
    const [file] = words;
    if (file === undefined || words.length > 1 || options.out !== undefined) return problem(`it is: ${SEND}`);
    const place = placeOf(options);
    return await send(commandIn(file, { fleet: place.config.fleet, gateway }), place, options, io);
  }
  const wish = wishOf(what, words, options.minutes);
  if (typeof wish === "string") return problem(wish);
  const isAnswer = wish.verb === "approve" || wish.verb === "deny";
  if (isAnswer && options.as === undefined)
    return problem(`only a person can ${wish.verb}: name them with --as, and their key with --key`);
  const place = placeOf(options);
  const { signer } = ownKey(keyFile(place, options));
  const by = { signer, person: options.as };
  const whole = isAnswer ? await answered(wish, gateway, options, by, io) : wish;
  const lifeMs = options.expiresMinutes * MINUTE_MS;
  const to = { fleet: place.config.fleet, gateway };
  const made = madeCommand(to, whole, by, { id: randomUUID(), nowMs: Date.now(), lifeMs });
  if (options.out === undefined) return await send({ ...made, key: signer.key }, place, options, io);
  writeWhole(resolve(options.out), made.text, 0o640);
  const fate = { ...shown(made), state: "made", file: options.out };
  io.out(
    options.json === true
      ? `${JSON.stringify(fate)}\n`
      : `${options.out} has the command for ${gateway}; it counts until ${utc(made.expiresAt)}. Where the broker can be reached:\n` +
          `  holdfast-fleet command ${gateway} send ${options.out}\n`,
  );
  return EXIT_DONE;
}

function keyFile({ config, baseDirectory }: FleetPlace, { key }: Options): string {
  return key === undefined ? resolve(baseDirectory, config.keyFile) : resolve(key);
}

/** Signs for what the fleet has of the action, and shows it: that, and nothing else, is what the answer counts for. */
async function answered(
  wish: Wish,
  gateway: string,
  options: Options,
  by: Parameters<typeof signedAnswer>[3],
  io: Io,
): Promise<Wish> {
  const id = String(wish.arguments["proposal"]);
  const waiting = await withFleet(options, (ask) => ask("proposal", { gateway, id }));
  if (waiting === null)
    throw new FleetError(
      "FLEET_PROPOSAL",
      { gateway, proposal: id, reason: "no action with this id that waits for people has come here" },
      { hint: "Is the gateway connected, and has its backlog come? holdfast-fleet gateways" },
    );
  const whole = signedAnswer(wish, waiting, options.device ?? gateway, by);
  io.err(`${wish.verb === "approve" ? "Yes" : "No"} to: ${actionText(waiting)}\n`);
  return whole;
}

function actionText(waiting: Proposal): string {
  const { tool, arguments: given, agent, key, rule } = redact(waiting).body;
  const about = `${JSON.stringify(given)} (agent ${agent}, ${key}, rule ${rule})`;
  return safe(`${tool} ${about}, before ${utc(waiting.executeBefore.wallMs)}`, 2000);
}

type Sent = MadeCommand & { readonly key: string };

/** A command that was made somewhere else. */
function commandIn(file: string, to: { readonly fleet: string; readonly gateway: string }): Sent {
  const wrong = (reason: string, cause?: unknown): FleetError =>
    new FleetError("FLEET_COMMAND", { file, reason }, { cause });
  let text: string;
  let read: ReturnType<typeof readCommand>;
  try {
    // An editor may have ended the line; the signature ends the text.
    text = readFileSync(file, "utf8").trim();
    read = readCommand(Buffer.from(text));
  } catch (cause) {
    throw wrong("it can not be read", cause);
  }
  const { fleet, gateway, id, verb: asked, arguments: given, expiresAt } = read.command;
  if (fleet !== to.fleet || gateway !== to.gateway) throw wrong(`it is for ${gateway} of the fleet ${fleet}`);
  if (expiresAt <= Date.now()) throw wrong(`it counted until ${utc(expiresAt)}`);
  return { fleet, gateway, id, verb: asked, arguments: given, expiresAt, text, key: read.signed.key };
}

async function send(made: Sent, { config, baseDirectory }: FleetPlace, options: Options, io: Io): Promise<number> {
  const read = (name: string | undefined) => () =>
    name === undefined ? undefined : readFileSync(resolve(baseDirectory, name), "utf8");
  const { tls, passwordFile, brokers, username } = config;
  const files = {
    ...{ ca: read(tls.ca), certificate: read(tls.certificate), key: read(tls.key) },
    password: () => read(passwordFile)()?.trim(),
  };
  let isWaiting = false;
  const waits = (): void => {
    if (!isWaiting)
      io.err(`${made.gateway} is not connected: it is sent when it comes, until ${utc(made.expiresAt)}\n`);
    isWaiting = true;
  };
  const clientId = `command-${randomBytes(4).toString("hex")}`;
  const topics = gatewayTopics(made.fleet, made.gateway);
  const { id, text, expiresAt } = made;
  const sending = { brokers, username, serverName: tls.serverName, clientId, topics, id, text, expiresAt };
  const result = await sendCommand(
    { files, nowMs: () => Date.now(), waits, stop: io.stop },
    { ...sending, lateMs: LATE_RESULT_MS },
  );
  const fate: Fate = result === undefined ? { state: "unanswered" } : { state: result.state, reason: result.reason };
  io.out(
    options.json === true ? `${JSON.stringify({ ...shown(made), ...fate })}\n` : `${fateText(made, made.key, fate)}\n`,
  );
  return fate.state === "done" ? EXIT_DONE : EXIT_FAILED;
}

function shown({ id, gateway, verb: asked, arguments: given, expiresAt }: MadeCommand): object {
  const { signature: _, ...plain } = given;
  return { id, gateway, verb: asked, arguments: plain, expiresAt };
}

function utc(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19).replace("T", " ")} UTC`;
}
