import { z } from "zod";
import { described } from "./described.ts";

const port = z.number().int().min(1).max(65535);
const bytes = z.number().int().positive();
const name = z.string().regex(/^[A-Za-z0-9][\w.-]*$/);

export const embeddedBusSchema = described(
  z.strictObject({
    kind: z.literal("embedded"),
    host: described(
      z.string().min(1).default("127.0.0.1"),
      "The address to listen on; others than loopback need users or `anonymous: true`.",
      "127.0.0.1",
    ),
    port: described(port.default(1883), "The port to listen on.", 1883),
    anonymous: described(
      z.boolean().optional(),
      "Clients without a user may connect, although the bus can be reached from other machines.",
      false,
    ),
    users: described(
      z
        .record(
          name,
          z.strictObject({
            passwordFile: described(
              z.string(),
              "File with the password, or the name of a credential.",
              "pump-1.password",
            ),
            publish: described(z.array(z.string()).default([]), "Topics this user may publish to.", ["plant/pump-1/#"]),
            subscribe: described(z.array(z.string()).default([]), "Topics this user may subscribe to.", [
              "plant/pump-1/command",
            ]),
          }),
        )
        .default({}),
      "Who may connect, and to which topics.",
      { "pump-1": { passwordFile: "pump-1.password", publish: ["plant/pump-1/#"] } },
    ),
    maxConnections: described(z.number().int().positive().default(200), "How many clients may be connected.", 200),
    maxPacketBytes: described(bytes.default(262144), "The largest message, in bytes.", 262144),
    maxUnacknowledged: described(
      z.number().int().positive().default(1024),
      "How many QoS 1 messages may wait for their decision to be on disk.",
      1024,
    ),
  }),
  "A broker inside the daemon (MQTT 3.1.1), for one machine and small sites.",
);

export const externalBusSchema = described(
  z.strictObject({
    kind: z.literal("external"),
    url: described(
      z.string().regex(/^(mqtts?|wss?):\/\//),
      "The broker: mqtt:// or mqtts://.",
      "mqtt://127.0.0.1:1883",
    ),
    clientId: described(
      z.string().min(1).max(128).optional(),
      "The client's name, the same at each start: its session holds what was not acknowledged. Default: holdfast- and the device's name.",
      "holdfast-plant-7",
    ),
    username: described(z.string().optional(), "The user to connect as.", "gateway"),
    passwordFile: described(
      z.string().optional(),
      "File with this user's password, or the name of a credential.",
      "bus.password",
    ),
    tls: described(
      z
        .strictObject({
          caFile: described(z.string().optional(), "Certificates that sign the broker's.", "ca.pem"),
          certificateFile: described(z.string().optional(), "The client's certificate.", "gateway.pem"),
          keyFile: described(z.string().optional(), "The client's key.", "gateway.key"),
          serverName: described(
            z.string().optional(),
            "The name the broker's certificate must have; default: the URL's.",
            "broker.plant.example",
          ),
        })
        .optional(),
      "TLS to the broker, with a URL that begins with mqtts://.",
    ),
    keepaliveSeconds: described(
      z.number().int().min(5).max(3600).default(30),
      "How often a silent connection is tried, in seconds.",
      30,
    ),
    sessionExpirySeconds: described(
      z.number().int().positive().default(604800),
      "How long the broker keeps messages for an absent gateway, in seconds.",
      604800,
    ),
    maxPacketBytes: described(bytes.default(262144), "The largest message, in bytes.", 262144),
    maxUnacknowledged: described(
      z.number().int().positive().max(65535).default(1024),
      "How many QoS 1 messages may wait for their decision to be on disk.",
      1024,
    ),
  }),
  "A broker that is there already, such as mosquitto.",
);

/** Where sensors publish: a broker of our own, or one that is there. */
export const busSchema = described(
  z.discriminatedUnion("kind", [embeddedBusSchema, externalBusSchema]),
  "Where sensors publish: a broker of our own, or one that is there.",
);
export type BusConfig = z.infer<typeof busSchema>;
