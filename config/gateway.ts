import { z } from "zod";

const described = <T extends z.ZodType>(schema: T, description: string, ...examples: unknown[]): T =>
  schema.meta({ description, examples }) as T;

const port = z.number().int().min(1).max(65535);
const bytes = z.number().int().positive();
const name = z.string().regex(/^[A-Za-z0-9][\w.-]*$/);

export const personSchema = z.strictObject({
  roles: described(z.array(z.enum(["operator", "approver", "admin"])).min(1), "What this person may do.", ["operator"]),
  localUser: described(z.string().optional(), "Their user on this machine.", "maria"),
  tokenHash: described(
    z.string().optional(),
    "SHA-256 of their token, in hex.",
    "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
  ),
  publicKey: described(z.string().optional(), "Their Ed25519 key, in base64.", "MCowBQYDK2VwAyEA"),
});

export const embeddedBusSchema = z.strictObject({
  kind: z.literal("embedded"),
  host: described(
    z.string().default("127.0.0.1"),
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
  ),
  maxConnections: described(z.number().int().positive().default(200), "How many clients may be connected.", 200),
  maxPacketBytes: described(bytes.default(262144), "The largest message, in bytes.", 262144),
  maxUnacknowledged: described(
    z.number().int().positive().default(1024),
    "How many QoS 1 messages may wait for their decision to be on disk.",
    1024,
  ),
});

export const externalBusSchema = z.strictObject({
  kind: z.literal("external"),
  url: described(z.string().regex(/^(mqtts?|wss?):\/\//), "The broker: mqtt:// or mqtts://.", "mqtt://127.0.0.1:1883"),
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
  tls: z
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
});

const queueLength = z.number().int().positive().default(4096);

export const gatewaySchema = z.strictObject({
  schemaVersion: described(z.literal(1).default(1), "The version of this file's format.", 1),
  device: z
    .strictObject({
      name: described(name.default("gateway"), "The gateway's name.", "plant-7"),
      labels: described(
        z.record(z.string(), z.string()).default({}),
        "What differs by site; rules see them as device.labels.",
        { site: "north" },
      ),
    })
    .prefault({}),
  people: described(z.record(name, personSchema).default({}), "Who may act on this gateway.", {
    maria: { roles: ["operator"] },
  }),
  bus: described(
    z.discriminatedUnion("kind", [embeddedBusSchema, externalBusSchema]).prefault({ kind: "embedded" }),
    "Where sensors publish: a broker of our own, or one that is there.",
  ),
  store: z
    .strictObject({
      directory: described(
        z.string().default(".holdfast"),
        "Where databases and models are kept, relative to this file.",
        "/var/lib/holdfast",
      ),
      maxBytes: described(
        bytes.min(8388608).default(1073741824),
        "The budget of everything Holdfast keeps on disk, in bytes.",
        1073741824,
      ),
      commitDelayMs: described(
        z.number().int().min(0).max(1000).default(25),
        "How long decisions of monitor and background agents may wait to be written together, in milliseconds.",
        25,
      ),
      ballastBytes: described(
        bytes.default(1048576),
        "Space held back for the day the disk is full, in bytes.",
        1048576,
      ),
      rememberIds: described(
        z.number().int().positive().default(65536),
        "How many event ids are remembered, so that a message that comes twice is one decision.",
        65536,
      ),
      retention: z
        .strictObject({
          decisionsDays: described(z.number().positive().default(90), "How long decisions are kept, in days.", 90),
          quietDays: described(z.number().positive().default(14), "How long quiet passes are kept, in days.", 14),
          telemetryDays: described(z.number().positive().default(365), "How long roll-ups are kept, in days.", 365),
        })
        .prefault({}),
    })
    .prefault({}),
  hosts: z
    .strictObject({
      memoryMb: described(z.number().int().min(64).default(512), "Memory limit of an inference host, in MB.", 512),
      recycleAfterLoads: described(
        z.number().int().positive().default(50),
        "A host is replaced after so many model loads.",
        50,
      ),
      startTimeoutSeconds: described(
        z.number().positive().default(20),
        "How long a host may take to start, in seconds.",
        20,
      ),
      lanes: described(
        z
          .record(
            name,
            z.strictObject({
              memoryMb: described(z.number().int().min(64).optional(), "This lane's memory limit, in MB.", 256),
            }),
          )
          .default({}),
        "Hosts of their own, by name, for models that must not share one.",
      ),
    })
    .prefault({}),
  admission: z
    .strictObject({
      queue: z
        .strictObject({
          safety: described(queueLength, "How many deliveries to safety agents may wait.", 4096),
          action: described(queueLength, "How many deliveries to action agents may wait.", 4096),
          monitor: described(queueLength, "How many deliveries to monitor agents may wait.", 4096),
          background: described(queueLength, "How many deliveries to background agents may wait.", 4096),
        })
        .prefault({}),
    })
    .prefault({}),
  programs: described(
    z
      .record(
        name,
        z.strictObject({
          path: described(z.string().regex(/^\//), "Absolute path of the program.", "/usr/local/bin/valve"),
          arguments: described(
            z.array(z.string()).default([]),
            "Its fixed arguments; {name} is replaced by a tool's argument.",
            ["--close", "{valve}"],
          ),
        }),
      )
      .default({}),
    "Programs that tools may run.",
  ),
  endpoints: described(
    z
      .record(
        name,
        z.strictObject({
          url: described(z.string().regex(/^https?:\/\//), "Where to.", "https://alerts.example/hook"),
          secretFile: described(
            z.string().optional(),
            "File with the bearer token, or the name of a credential.",
            "hook.token",
          ),
          privateAddress: described(z.boolean().default(false), "The address may be one of a private network.", false),
        }),
      )
      .default({}),
    "Web addresses that tools may call.",
  ),
  limits: z
    .strictObject({
      effectsPerMinute: described(
        z.number().int().positive().default(60),
        "A ceiling over all effects of all tools, per minute.",
        60,
      ),
    })
    .prefault({}),
  mode: described(
    z.enum(["observe", "dryRun", "approve", "auto"]).default("observe"),
    "What the gateway may do. Only observe works in this version.",
    "observe",
  ),
  log: z
    .strictObject({
      level: described(
        z.enum(["debug", "info", "warn", "error"]).default("info"),
        "The least important log line that is written.",
        "info",
      ),
    })
    .prefault({}),
});
export type GatewayConfig = z.infer<typeof gatewaySchema>;
export type BusConfig = GatewayConfig["bus"];
