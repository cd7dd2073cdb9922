import { readFileSync } from "node:fs";
import type { Command } from "commander";
import { readCertificateRequest } from "../../sync/enrolment.ts";
import { signedText } from "../../sync/signing.ts";
import { EnrolError } from "../enrol/errors.ts";
import { writeWhole } from "../enrol/kept.ts";
import { answerTo } from "../enrol/responder.ts";
import { type EnrolWhere, enrolPlace } from "./enrol-place.ts";
import { EXIT_DONE, EXIT_FAILED, type Io, type RunVerb } from "./io.ts";

interface Options extends EnrolWhere {
  readonly out?: string;
}

export const verb = (io: Io) => (program: Command, run: RunVerb) =>
  void program
    .command("sign <file>")
    .description(
      "answer a request that `holdfast enroll --request` wrote, for a gateway that can not reach the broker yet",
    )
    .option("--out <file>", "where the answer is written (default: GATEWAY.certificate.json)")
    .option("--config <file>", "the fleet's file (default: ./holdfast-fleet.yaml)")
    .option("--ca <directory>", "the CA's folder (default: ca beside the fleet's file)")
    .addHelpText(
      "after",
      "\nExample:\n  holdfast-fleet sign csr.json\n\nThen, at the gateway: holdfast enroll --certificate plant-7.certificate.json",
    )
    .action((file: string, options: Options) => run(() => sign(file, options, io)));

async function sign(file: string, options: Options, io: Io): Promise<number> {
  const { place, authority, ledger, key, nowMs } = enrolPlace(options);
  const payload = readFileSync(file);
  const gateway = nameIn(payload, file);
  const answer = await answerTo({ authority, ledger, nowMs }, payload, { fleet: place.config.fleet, gateway }, false);
  const { refused, reason } = answer;
  if (refused !== undefined) {
    io.err(`holdfast-fleet: refused: ${reason}\n  code: ${refused}\n`);
    return EXIT_FAILED;
  }
  const out = options.out ?? `${gateway}.certificate.json`;
  writeWhole(out, `${signedText(answer, key.signer)}\n`);
  io.out(`${out} has the certificate of ${gateway}. At the gateway: holdfast enroll --certificate ${out} --write\n`);
  return EXIT_DONE;
}

function nameIn(payload: Uint8Array, file: string): string {
  try {
    return readCertificateRequest(payload).body.gateway;
  } catch (cause) {
    throw new EnrolError("ENROL_REQUEST", { file }, { cause });
  }
}
