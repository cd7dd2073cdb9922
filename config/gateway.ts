import { z } from "zod";
import { busSchema } from "./bus.ts";
import { described, secret } from "./described.ts";
import { fleetSchema } from "./fleet-link.ts";

/** What a gateway may do, from the least to the most. */
export const modes = ["observe", "dryRun", "approve", "auto"] as const;
export type Mode = (typeof modes)[number];

const bytes = z.number().int().positive();
const name = z.string().regex(/^[A-Za-z0-9][\w.-]*$/);

export const personSchema = z.strictObject({
  roles: described(z.array(z.enum(["operator", "approver", "admin"])).min(1), "What this person may do.", ["operator"]),
  localUser: described(z.string().optional(), "Their user on this machine.", "maria"),
  tokenHash: secret(
    z
      .string()
      .regex(/^[0-9a-f]{64}$/)
      .optional(),
    "SHA-256 of their token, in hex.",
    "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
  ),
  publicKey: described(
    z.string().min(1).optional(),
    "Their Ed25519 key: base64 of the DER form (SubjectPublicKeyInfo), for approvals that are signed elsewhere.",
    "MCowBQYDK2VwAyEA",
  ),
  mail: described(
    z
      .string()
      .regex(/^[^@\s]+@[^@\s]+$/)
      .optional(),
    "Where mail reaches them.",
    "maria@plant.example",
  ),
});

const queueLength = z.number().int().positive().default(4096);

export const gatewaySchema = z.strictObject({
  schemaVersion: described(z.literal(1).default(1), "The version of the file's format.", 1),
  device: described(
    z
      .strictObject({
        name: described(name.default("gateway"), "The gateway's name.", "plant-7"),
        labels: described(
          z.record(z.string(), z.string()).default({}),
          "What differs by site; rules see them as device.labels.",
          { site: "north" },
        ),
      })
      .prefault({}),
    "What this gateway is.",
  ),
  people: described(
    z.record(name, personSchema).default({}),
    "Who may act on this gateway: switch, stop, release, approve. While nobody is named, the user that runs the daemon and root may.",
    {
      maria: { roles: ["operator"] },
    },
  ),
  bus: busSchema.prefault({ kind: "embedded" }),
  store: described(
    z
      .strictObject({
        directory: described(
          z.string().min(1).default(".holdfast"),
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
        retention: described(
          z
            .strictObject({
              decisionsDays: described(z.number().positive().default(90), "How long decisions are kept, in days.", 90),
              quietDays: described(z.number().positive().default(14), "How long quiet passes are kept, in days.", 14),
              telemetryDays: described(z.number().positive().default(365), "How long roll-ups are kept, in days.", 365),
            })
            .prefault({}),
          "How long records are kept on a gateway without a fleet.",
        ),
      })
      .prefault({}),
    "Where and how much is kept on disk.",
  ),
  hosts: described(
    z
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
          "Hosts of their own, by name, for models that must not share one; main is always there.",
          { background: { memoryMb: 256 } },
        ),
      })
      .prefault({}),
    "The child processes that run models.",
  ),
  admission: described(
    z
      .strictObject({
        queue: described(
          z
            .strictObject({
              safety: described(queueLength, "How many deliveries to safety agents may wait.", 4096),
              action: described(queueLength, "How many deliveries to action agents may wait.", 4096),
              monitor: described(queueLength, "How many deliveries to monitor agents may wait.", 4096),
              background: described(queueLength, "How many deliveries to background agents may wait.", 4096),
            })
            .prefault({}),
          "How many deliveries may wait before they are accepted, by priority of their agent.",
        ),
      })
      .prefault({}),
    "What waits when there is too much to do.",
  ),
  programs: described(
    z
      .record(
        name,
        z.strictObject({
          path: described(z.string().regex(/^\//), "Absolute path of the program.", "/usr/local/bin/valve"),
          workingDirectory: described(
            z.string().regex(/^\//).optional(),
            "Where it runs; default: /.",
            "/var/lib/valve",
          ),
          arguments: described(
            z.array(z.string()).default([]),
            "Its fixed arguments; {name} is replaced by a tool's argument.",
            ["--close", "{valve}"],
          ),
        }),
      )
      .default({}),
    "Programs that tools may run: without a shell, with an empty environment.",
    { valve: { path: "/usr/local/bin/valve", arguments: ["--close", "{valve}"] } },
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
          privateAddress: described(
            z.boolean().default(false),
            "The address may be one of this machine or of a private network.",
            false,
          ),
          caFile: described(z.string().optional(), "Certificates that sign the server's.", "ca.pem"),
        }),
      )
      .default({}),
    "Web addresses that tools may call.",
    { alerts: { url: "https://alerts.example/hook", secretFile: "hook.token" } },
  ),
  limits: described(
    z
      .strictObject({
        effectsPerMinute: described(
          z.number().int().positive().default(60),
          "A ceiling over all effects of all tools in any minute; notifications do not count.",
          60,
        ),
      })
      .prefault({}),
    "Limits that no generation can widen.",
  ),
  mail: described(
    z
      .strictObject({
        host: described(z.string().min(1), "The mail server.", "mail.plant.example"),
        port: described(z.number().int().min(1).max(65535).default(587), "Its port.", 587),
        security: described(
          z.enum(["starttls", "tls", "none"]).default("starttls"),
          "How the connection is protected; none only for a server on this machine.",
          "starttls",
        ),
        username: described(z.string().optional(), "The user to log in as.", "holdfast"),
        passwordFile: described(
          z.string().optional(),
          "File with this user's password, or the name of a credential.",
          "mail.password",
        ),
        caFile: described(z.string().optional(), "Certificates that sign the server's.", "ca.pem"),
        from: described(z.string().regex(/^[^@\s]+@[^@\s]+$/), "The sender's address.", "holdfast@plant.example"),
      })
      .optional(),
    "The server by which tools send mail.",
  ),
  fleet: described(fleetSchema.optional(), "The fleet that this gateway belongs to; left out: none."),
  mode: described(
    z.enum(modes).optional(),
    "The most that this gateway may do, whatever people say. Without it `holdfast mode` decides, and a fresh gateway observes.",
    "observe",
  ),
  log: described(
    z
      .strictObject({
        level: described(
          z.enum(["debug", "info", "warn", "error"]).default("info"),
          "The least important log line that is written.",
          "info",
        ),
      })
      .prefault({}),
    "The daemon's own log, on standard output.",
  ),
});
export type GatewayConfig = z.infer<typeof gatewaySchema>;
export type { BusConfig } from "./bus.ts";
