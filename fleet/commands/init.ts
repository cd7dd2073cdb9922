import { join, relative, resolve } from "node:path";
import { type Command, InvalidArgumentError } from "commander";
import { fingerprint } from "../../sync/certificate-facts.ts";
import { BROKER_FOLDER, initFleet } from "../enrol/init-fleet.ts";
import { countOption, several } from "./enrol-place.ts";
import { EXIT_DONE, type Io, type RunVerb } from "./io.ts";

interface Options {
  readonly fleet: string;
  readonly brokerHost: readonly string[];
  readonly port: number;
  readonly dir: string;
}

/** What a certificate takes for a name or an address, and a URL for its host. */
const HOST =
  /^(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*)$/;
const PORT = 8883;

export const verb = (io: Io) => (program: Command, run: RunVerb) =>
  void program
    .command("init")
    .description("make a fleet of one's own: a CA, a broker's files for mosquitto, a collector's file and certificate")
    .requiredOption("--fleet <name>", "the fleet's name, for ever: it is in every topic")
    .requiredOption(
      "--broker-host <host>",
      "where gateways find the broker: a name or an address; may be repeated",
      hosts,
    )
    .option("--port <port>", "the broker's port", countOption(1, 65_535), PORT)
    .option("--dir <directory>", "where everything is written", ".")
    .addHelpText(
      "after",
      "\nExample:\n  holdfast-fleet init --fleet north --broker-host broker.fleet.example --dir north",
    )
    .action((options: Options) => run(() => init(options, io)));

function hosts(text: string, before?: readonly string[]): readonly string[] {
  if (!HOST.test(text)) throw new InvalidArgumentError("Give a name such as broker.fleet.example, or an address.");
  return several(text, before);
}

async function init({ fleet, brokerHost, port, dir }: Options, io: Io): Promise<number> {
  const authority = await initFleet({ fleet, hosts: brokerHost, port, directory: dir, nowMs: Date.now() });
  const directory = relative(".", resolve(dir)) || ".";
  const broker = join(directory, BROKER_FOLDER);
  io.out(
    [
      `The fleet ${fleet} is in ${directory === "." ? "this folder" : directory}. Its CA, SHA-256: ${fingerprint(authority.certificate)}`,
      "",
      `  ${join(directory, "ca")}  the CA: who has this folder can let gateways in. Keep a copy of it, and nobody else`,
      `  ${broker}  for mosquitto: ${["mosquitto.conf", "acl", "crl.pem", "broker.pem", "broker.key", "ca.pem"].join(", ")}`,
      `  ${join(directory, "holdfast-fleet.yaml")}  for the collector, with its certificate and keys beside it`,
      "",
      "Next:",
      `  chown -R mosquitto: ${broker}   (as root, where the broker runs as this user)`,
      `  mosquitto -c ${join(broker, "mosquitto.conf")}`,
      `  holdfast-fleet serve --config ${join(directory, "holdfast-fleet.yaml")}`,
      `  holdfast-fleet enroll plant-7 --config ${join(directory, "holdfast-fleet.yaml")}`,
      "",
    ].join("\n"),
  );
  return EXIT_DONE;
}
