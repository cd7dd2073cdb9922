import { existsSync } from "node:fs";
import { resolve } from "node:path";
import type { Command } from "commander";
import { fingerprint } from "../../sync/certificate-facts.ts";
import { enrol } from "../enrol/desk.ts";
import { EnrolError } from "../enrol/errors.ts";
import { writeOnce } from "../enrol/kept.ts";
import { countOption, type EnrolWhere, enrolPlace, several } from "./enrol-place.ts";
import { EXIT_DONE, type Io, type RunVerb } from "./io.ts";

interface Options extends EnrolWhere {
  readonly out?: string;
  readonly validMinutes: number;
  readonly certificateDays: number;
  readonly broker?: readonly string[];
}

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const VALID_MINUTES = 1440;
const CERTIFICATE_DAYS = 365;

export const verb = (io: Io) => (program: Command, run: RunVerb) =>
  void program
    .command("enroll <gateway>")
    .description(
      "make the file with which a gateway joins, once; whoever has it may become that gateway until it expires",
    )
    .option("--out <file>", "where the file is written (default: GATEWAY.enrolment.json)")
    .option("--valid-minutes <n>", "how long it may be used", countOption(1, 43_200), VALID_MINUTES)
    .option(
      "--certificate-days <n>",
      "how long the gateway's certificates live",
      countOption(1, 3650),
      CERTIFICATE_DAYS,
    )
    .option(
      "--broker <url>",
      "where the gateway finds the broker (default: as the fleet's file); may be repeated",
      several,
    )
    .option("--config <file>", "the fleet's file (default: ./holdfast-fleet.yaml)")
    .option("--ca <directory>", "the CA's folder (default: ca beside the fleet's file)")
    .addHelpText(
      "after",
      "\nExample:\n  holdfast-fleet enroll plant-7\n\nThen, at the gateway: holdfast enroll plant-7.enrolment.json",
    )
    .action((gateway: string, options: Options) => run(() => enroll(gateway, options, io)));

async function enroll(gateway: string, options: Options, io: Io): Promise<number> {
  const { place, authority, ledger, key, nowMs } = enrolPlace(options);
  const file = resolve(options.out ?? `${gateway}.enrolment.json`);
  if (existsSync(file))
    throw new EnrolError("ENROL_EXISTS", { file }, { hint: "Remove it, or name another with --out." });
  const { fleet } = place.config;
  const brokers = options.broker ?? place.config.brokers;
  const plain = brokers.find((url) => !/^(mqtts|wss):\/\/[^/\s]/.test(url));
  if (plain !== undefined)
    throw new EnrolError("ENROL_BROKER", { broker: plain }, { hint: "Name another with --broker." });
  const text = await enrol(
    { authority, ledger, nowMs },
    {
      ...{ fleet, gateway, brokers, keys: [key.publicText] },
      ...{ validMs: options.validMinutes * MINUTE_MS, certificateMs: options.certificateDays * DAY_MS },
    },
    key.signer,
  );
  writeOnce(file, `${text}\n`, 0o600);
  const { expiresAt } = ledger.token((JSON.parse(text) as { token: string }).token) ?? { expiresAt: 0 };
  io.out(
    [
      `${file} lets one gateway join as ${gateway}, until ${new Date(expiresAt).toISOString().slice(0, 16).replace("T", " ")} UTC.`,
      "It is a secret until then. At the gateway:",
      `  holdfast enroll ${gateway}.enrolment.json --write`,
      `The gateway shows the CA's SHA-256, which is ${fingerprint(authority.certificate)}`,
      "",
    ].join("\n"),
  );
  return EXIT_DONE;
}
