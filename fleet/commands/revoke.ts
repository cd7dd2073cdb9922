import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Command } from "commander";
import { TOPIC_NAME } from "../../sync/topics.ts";
import { EnrolError } from "../enrol/errors.ts";
import { BROKER_FOLDER, writeRevocations } from "../enrol/init-fleet.ts";
import { type EnrolWhere, enrolPlace } from "./enrol-place.ts";
import { EXIT_DONE, EXIT_FAILED, type Io, type RunVerb } from "./io.ts";

interface Options extends EnrolWhere {
  readonly crl?: string;
}

export const verb = (io: Io) => (program: Command, run: RunVerb) =>
  void program
    .command("revoke <gateway>")
    .description("take back all certificates and unused enrolments of a gateway, and write the list for the broker")
    .option("--crl <file>", "where the list is written (default: broker/crl.pem beside the fleet's file)")
    .option("--config <file>", "the fleet's file (default: ./holdfast-fleet.yaml)")
    .option("--ca <directory>", "the CA's folder (default: ca beside the fleet's file)")
    .addHelpText("after", "\nExample:\n  holdfast-fleet revoke plant-7")
    .action((gateway: string, options: Options) => run(() => revoke(gateway, options, io)));

async function revoke(gateway: string, options: Options, io: Io): Promise<number> {
  if (!TOPIC_NAME.test(gateway)) throw new EnrolError("ENROL_NAME", { gateway });
  const { place, authority, ledger, nowMs } = enrolPlace(options);
  const now = nowMs();
  const tokens = ledger.voidTokens(gateway);
  const valid = ledger
    .issued(gateway)
    .filter(({ notAfterMs, serial }) => notAfterMs > now && !ledger.isRevoked(serial));
  for (const { serial } of valid) ledger.revoke(serial, gateway, now);
  const folder = join(place.baseDirectory, BROKER_FOLDER);
  const crl = options.crl === undefined ? join(folder, "crl.pem") : resolve(options.crl);
  if (options.crl === undefined && !existsSync(folder))
    throw new EnrolError("ENROL_AUTHORITY", { folder }, { hint: "Name the list's file with --crl." });
  await writeRevocations(authority, ledger, crl, now);
  const few = valid.length === 0 && tokens === 0 ? " It had none that counted: is the name right?" : "";
  io.out(
    [
      `${gateway}: ${valid.length} certificates revoked, ${tokens} unused enrolments void.${few}`,
      `${crl} lists ${ledger.revoked().length} certificates now. What the broker knows of it is up to you:`,
      "  systemctl reload mosquitto    (SIGHUP) new connections are refused; one that stands goes on",
      "  systemctl restart mosquitto   ends it too; all others come back by themselves",
      "",
    ].join("\n"),
  );
  return few === "" ? EXIT_DONE : EXIT_FAILED;
}
