import { z } from "zod";
import { described } from "./described.ts";

/** One level of a topic; without dots, which some brokers take for slashes. */
const level = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/);
const bytes = z.number().int().positive();

/** The fleet that a gateway belongs to. Left out: none, and no connection is ever made. */
export const fleetSchema = z.strictObject({
  name: described(level, "The fleet's name: the first level of its topics.", "north"),
  gateway: described(
    level.optional(),
    "The gateway's name in the fleet, the client's name at the broker. Default: the device's name.",
    "plant-7",
  ),
  brokers: described(
    z
      .array(z.string().regex(/^(mqtts?|wss):\/\/[^/\s]/))
      .min(1)
      .max(8),
    "The fleet's brokers, tried in turn: mqtts://, wss://, and mqtt:// on this machine alone. MQTT 5.",
    ["mqtts://fleet.example:8883"],
  ),
  username: described(z.string().optional(), "The user to connect as, where no certificate says it.", "plant-7"),
  passwordFile: described(
    z.string().optional(),
    "File with this user's password, or the name of a credential.",
    "fleet.password",
  ),
  tls: described(
    z
      .strictObject({
        ca: described(z.string().optional(), "File with the certificates that sign the broker's.", "fleet-ca.pem"),
        certificate: described(z.string().optional(), "File with the gateway's certificate.", "gateway.pem"),
        key: described(z.string().optional(), "File with the key of that certificate.", "gateway.key"),
        serverName: described(
          z.string().optional(),
          "The name the broker's certificate must have; default: the URL's.",
          "broker.fleet.example",
        ),
      })
      .prefault({}),
    "Files for TLS to the broker. They are read again at each connection.",
  ),
  proxy: described(
    z
      .string()
      .regex(/^http:\/\/[^/\s]/)
      .optional(),
    "An HTTP proxy (CONNECT) to go through, for wss:// and mqtts://.",
    "http://proxy.plant.example:3128",
  ),
  keys: described(
    z.array(z.string().min(1)).max(8).default([]),
    "The collectors' Ed25519 keys: base64 of the DER form (SubjectPublicKeyInfo). With them an acknowledgement that none of them signed is refused.",
    ["MCowBQYDK2VwAyEA"],
  ),
  keepaliveSeconds: described(
    z.number().int().min(10).max(3600).default(45),
    "How often a silent connection is tried, in seconds.",
    45,
  ),
  firstWithinSeconds: described(
    z.number().min(0).max(3600).default(30),
    "The first connection after a start waits for a random time up to this, in seconds: power comes back to a whole site at once.",
    30,
  ),
  reconnectWithinSeconds: described(
    z.number().min(1).max(3600).default(300),
    "The longest wait between two tries to connect, in seconds. Longer for large fleets: all of them come back when a broker does.",
    300,
  ),
  budget: described(
    z
      .strictObject({
        bytesPerDay: described(
          bytes.min(65536).optional(),
          "How many bytes may go up in a day, by the gateway's clock of boot time. Safety may go beyond, and it is told.",
          50000000,
        ),
        bytesPerSecond: described(
          bytes.min(128).optional(),
          "How many bytes may go up in a second, over some seconds.",
          4000,
        ),
      })
      .prefault({}),
    "What the line may cost.",
  ),
  ackMode: described(
    z.enum(["collector", "puback"]).default("collector"),
    "collector: a record is delivered once the fleet has it in its database. puback: once the broker has taken it, for fleets without a collector; what the broker then loses is lost.",
    "collector",
  ),
});
export type FleetConfig = z.infer<typeof fleetSchema>;
