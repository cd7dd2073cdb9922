import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import type { Command } from "commander";
import { withSection } from "../../config/edit.ts";
import { loadConfig, toYaml } from "../../config/load.ts";
import { askOnce } from "../../sync/ask-once.ts";
import { fingerprint, spkiHash } from "../../sync/certificate-facts.ts";
import { type Enrolment, readCertificateAnswer, readEnrolment } from "../../sync/enrolment.ts";
import { fleetKeys } from "../../sync/fleet-keys.ts";
import { gatewayTopics, newcomerName } from "../../sync/topics.ts";
import { writeDurably } from "../durable-file.ts";
import { JoinError } from "../enrol/errors.ts";
import { type Identity, IdentityFiles } from "../enrol/identity-files.ts";
import {
  enrolmentName,
  firstRequest,
  fleetSection,
  giveToOwner,
  joined,
  keepOwner,
  prepared,
} from "../enrol/joining.ts";
import { EXIT_DONE, EXIT_USAGE } from "../errors.ts";
import { dataDirectory, findConfig, type Where } from "./data.ts";
import { problemLines } from "./failure.ts";
import type { Io, RunVerb } from "./io.ts";

interface Options extends Where {
  readonly request?: string;
  readonly certificate?: string;
  readonly write?: boolean;
  readonly proxy?: string;
  readonly json?: boolean;
}

const ANSWER_MS = 60_000;
const SECRET = 0o600;

export const verb = (io: Io) => (program: Command, run: RunVerb) =>
  void program
    .command("enroll [file]")
    .description(
      "join a fleet with the file that `holdfast-fleet enroll` made: the gateway's key is made here and stays here",
    )
    .option("--request <file>", "do not go to the broker: write the request, to be carried to `holdfast-fleet sign`")
    .option("--certificate <file>", "take the answer that was carried back")
    .option("--write", "put the fleet's section into the gateway's file; a copy of it is kept")
    .option("--proxy <url>", "an HTTP proxy to go through, for wss:// and mqtts://")
    .option("--config <file>", "the gateway's file")
    .option("--data <directory>", "its data directory")
    .option("--json", "one JSON object")
    .addHelpText("after", "\nExample:\n  holdfast enroll plant-7.enrolment.json --write")
    .action((file: string | undefined, options: Options) => run(() => enroll(file, options, io)));

async function enroll(file: string | undefined, options: Options, io: Io): Promise<number> {
  if ((file === undefined) === (options.certificate === undefined)) {
    io.err("holdfast: give the enrolment's file, or --certificate with the answer to its request\n");
    return EXIT_USAGE;
  }
  const data = prepared(dataDirectory(options, io));
  const files = new IdentityFiles(data);
  const text = file === undefined ? files.noted() : readFile(file).toString("utf8");
  const enrolment = enrolmentOf(text, file);
  // Before the enrolment is used up.
  if (options.write === true) assertTakesSection(findConfig(options));
  const known = joinedAlready(files, enrolment);
  if (known !== undefined && file !== undefined && options.request === undefined) {
    io.err("holdfast: this gateway has joined with this enrolment already\n");
    return tell(enrolment, files, known.facts.notAfterMs, options, io);
  }
  try {
    let answer: Uint8Array;
    if (options.certificate !== undefined) answer = readFile(options.certificate);
    else {
      const request = await firstRequest(files, enrolment);
      if (options.request !== undefined) {
        // What the answer has to fit.
        files.noteNext(text ?? "");
        return carried(request, options.request, enrolment, io);
      }
      answer = await asked(request, enrolment, files, options, io);
    }
    const { facts } = joined(files, enrolment, answer);
    return tell(enrolment, files, facts.notAfterMs, options, io);
  } catch (error) {
    // Asked for the same key again, the answer would be the same.
    if (error instanceof JoinError && error.detail["why"] === "ENROL_REVOKED") files.dropNext();
    throw error;
  } finally {
    if (existsSync(files.folder)) giveToOwner(files.folder, data);
  }
}

/** The identity that this enrolment gave; undefined: it has not, or not for long enough. */
function joinedAlready(files: IdentityFiles, enrolment: Enrolment): Identity | undefined {
  if (files.joinedWith() !== enrolmentName(enrolment)) return undefined;
  const current = files.current();
  return current !== undefined && current.facts.notAfterMs > Date.now() ? current : undefined;
}

/** Throws JOIN_CONFIG where there is no gateway's file, or none that a section could be put into. */
function assertTakesSection(file: string | undefined): asserts file is string {
  if (file === undefined)
    throw new JoinError("JOIN_CONFIG", {}, { hint: "Name the gateway's file with --config, or leave out --write." });
  if (withSection(readFile(file).toString("utf8"), "fleet", {}) === undefined)
    throw new JoinError("JOIN_CONFIG", { file, reason: "it is no map in YAML" });
}

function enrolmentOf(text: string | undefined, file: string | undefined): Enrolment {
  if (text === undefined)
    throw new JoinError("JOIN_NOT_BEGUN", {}, { hint: "First: holdfast enroll FILE --request csr.json" });
  try {
    return readEnrolment(text);
  } catch (cause) {
    throw new JoinError("JOIN_FILE", { file }, { cause });
  }
}

function readFile(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (cause) {
    throw new JoinError("JOIN_FILE", { file }, { cause });
  }
}

function carried(request: string, out: string, { gateway }: Enrolment, io: Io): number {
  writeDurably(resolve(out), `${request}\n`, SECRET);
  io.out(
    `${out} asks for a certificate for ${gateway}. It holds the token: keep it as a secret.\n` +
      `At the fleet: holdfast-fleet sign ${out}\nThen here: holdfast enroll --certificate ${gateway}.certificate.json --write\n`,
  );
  return EXIT_DONE;
}

async function asked(
  payload: string,
  { fleet, gateway, brokers, ca, bootstrap, keys }: Enrolment,
  files: IdentityFiles,
  { proxy }: Options,
  io: Io,
): Promise<Uint8Array> {
  const name = newcomerName(gateway);
  const topics = gatewayTopics(fleet, name);
  const [known, keyHash] = [fleetKeys(keys), spkiHash(files.nextKey())];
  io.err(`holdfast: asks ${brokers.join(", ")} for a certificate\n`);
  try {
    return await askOnce(
      {
        ...{ brokers, proxy, ca, certificate: bootstrap.certificate, key: bootstrap.key, clientId: name, payload },
        ...{ topic: topics.report("csr"), answerTopic: topics.certificate, withinMs: ANSWER_MS, stop: io.stop },
      },
      (bytes) => {
        try {
          const answer = readCertificateAnswer(bytes, known, { fleet, gateway });
          return answer.for === keyHash || (answer.for === "" && answer.refused !== undefined);
        } catch {
          // Of somebody else: the answer may still come.
          return false;
        }
      },
    );
  } catch (cause) {
    const { unanswered } =
      (cause as { detail?: { unanswered?: readonly { broker: string; why: string }[] } }).detail ?? {};
    const detail = Object.fromEntries((unanswered ?? []).map(({ broker, why }) => [broker, why]));
    const hint = "Without a way to the broker: --request, and holdfast-fleet sign.";
    throw new JoinError("JOIN_NO_ANSWER", detail, { cause, hint });
  }
}

function tell(enrolment: Enrolment, files: IdentityFiles, notAfterMs: number, options: Options, io: Io): number {
  const { fleet, gateway, ca } = enrolment;
  const config = findConfig(options);
  const section = fleetSection(enrolment, files, config === undefined ? resolve(".") : dirname(resolve(config)));
  const copy = options.write === true ? write(section, config, io) : undefined;
  const notAfter = new Date(notAfterMs).toISOString();
  if (options.json === true) {
    io.out(`${JSON.stringify({ fleet, gateway, notAfter, ...files.paths, section, copy: copy ?? null })}\n`);
    return EXIT_DONE;
  }
  const lines = [
    `${gateway} belongs to the fleet ${fleet}. Its certificate holds until ${notAfter.slice(0, 10)} and is renewed before.`,
    `The fleet's CA, SHA-256: ${fingerprint(ca)}`,
    "Compare it with what holdfast-fleet enroll has shown.",
    "",
    copy === undefined
      ? `For the gateway's file:\n\n${toYaml({ fleet: section })}`
      : `${config} has the fleet's section; as it was before: ${copy}\nRestart the gateway: then it connects.`,
  ];
  io.out(`${lines.join("\n").trimEnd()}\n`);
  return EXIT_DONE;
}

/** Writes the section and looks whether the file still loads; else puts back what was there. Gives the copy's name. */
function write(section: Readonly<Record<string, unknown>>, file: string | undefined, io: Io): string {
  assertTakesSection(file);
  const [source, stat] = [readFileSync(file, "utf8"), statSync(file)];
  const text = withSection(source, "fleet", section);
  if (text === undefined) throw new JoinError("JOIN_CONFIG", { file, reason: "it is no map in YAML" });
  const copy = `${file}.${new Date().toISOString().slice(0, 19).replaceAll(":", "")}.bak`;
  writeDurably(copy, source, stat.mode);
  writeDurably(file, text, stat.mode);
  for (const path of [copy, file]) keepOwner(path, stat);
  const loaded = loadConfig({ file, environment: io.environment });
  if (loaded.ok) return copy;
  writeDurably(file, source, stat.mode);
  keepOwner(file, stat);
  io.err(problemLines(loaded.problems));
  throw new JoinError(
    "JOIN_CONFIG",
    { file },
    { hint: "It is as it was before. Write the section by hand: leave out --write." },
  );
}
