import { spawnSync } from "node:child_process";
import { createHash, createPrivateKey, generateKeyPairSync, randomBytes } from "node:crypto";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { connectAsync } from "mqtt";
import { expect, test } from "vitest";
import { childPath } from "../../daemon/children.ts";
import { becomes } from "../../scripts/trial/claims.ts";
import { freePort } from "../../scripts/trial/daemon.ts";
import { keyPem, newKey } from "../../sync/certificate-facts.ts";
import { FleetSite } from "../support/fleet-site.ts";
import { describeWithMosquitto } from "../support/mosquitto.ts";

const LONG_MS = 300_000;

/** A text that stands nowhere else. */
const canary = (of: string): string => `canary-${of}-${randomBytes(9).toString("hex")}`;

const secrets = {
  busPassword: canary("bus"),
  wrongPassword: canary("wrong"),
  fleetPassword: canary("fleet"),
  hookToken: canary("hook"),
  mailPassword: canary("mail"),
  personToken: canary("person"),
  strangersToken: canary("stranger"),
  twoLines: canary("header"),
  exposed: canary("exposed"),
  enrolment: canary("enrolment"),
};

/** Where a text holds a secret: itself, or how it looks in a header, a URL or a signature's input. */
function leaksIn(text: string, known: Readonly<Record<string, string>>): string[] {
  return Object.entries(known).flatMap(([name, secret]) => {
    const forms = [
      secret,
      Buffer.from(secret).toString("base64").replace(/=*$/, ""),
      Buffer.from(secret).toString("hex"),
    ];
    const at = forms.map((form) => text.indexOf(form)).find((place) => place >= 0);
    return at === undefined ? [] : [`${name}: …${text.slice(Math.max(0, at - 80), at + 20)}`];
  });
}

/** The part of a private key that makes it one. */
function privatePart(pem: string): string {
  const { d = "" } = createPrivateKey(pem).export({ format: "jwk" }) as { d?: string };
  return Buffer.from(d, "base64url").toString("base64");
}

/** Its body without line breaks and with them, as a file or as JSON has it. */
function keyForms(name: string, pem: string): Record<string, string> {
  const lines = pem.trim().split("\n").slice(1, -1);
  return { [`${name}, its body`]: lines.at(-1) ?? "", [`${name}, its number`]: privatePart(pem) };
}

function run(...args: string[]): string {
  const done = spawnSync(process.execPath, [childPath("daemon/main"), ...args], { encoding: "utf8", timeout: 60_000 });
  return `${args.join(" ")}\n${done.stdout}\n${done.stderr}`;
}

test("a secret would be found, whole or in another form", () => {
  const known = { one: secrets.hookToken };
  expect(leaksIn(`x ${secrets.hookToken}`, known)).toHaveLength(1);
  expect(leaksIn(Buffer.from(secrets.hookToken).toString("base64"), known)).toHaveLength(1);
  expect(leaksIn(Buffer.from(secrets.hookToken).toString("hex"), known)).toHaveLength(1);
  expect(leaksIn("nothing", known)).toEqual([]);
});

describeWithMosquitto("a gateway full of secrets", () => {
  test("shows none of them in what it says, prints, answers, or packs for a helper", { timeout: LONG_MS }, async () => {
    const site = new FleetSite();
    const heard: string[] = [];
    // Says no, and quotes what it was given, as some servers do.
    const server = createServer((request, response) => {
      heard.push(String(request.headers.authorization));
      response.statusCode = 403;
      response.end(`not allowed: ${String(request.headers.authorization)}`);
    }).listen(0, "127.0.0.1");
    try {
      await site.startBroker();
      await site.startCollector();
      const folder = join(site.folder, "plant-7");
      mkdirSync(folder);
      const put = (name: string, text: string): string => {
        writeFileSync(join(folder, name), `${text}\n`, { mode: 0o600 });
        return name;
      };
      const hook = `http://127.0.0.1:${(server.address() as AddressInfo).port}/x`;
      const endpoint = (secretFile: string): object => ({ url: hook, privateAddress: true, secretFile });
      const maria = generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" }) as string;
      writeFileSync(join(site.folder, "maria.pem"), maria, { mode: 0o600 });
      // What joining leaves while its answer is awaited.
      const waiting = keyPem(newKey());
      mkdirSync(join(folder, "data/fleet/next"), { recursive: true });
      writeFileSync(join(folder, "data/fleet/next/gateway.key"), waiting, { mode: 0o600 });
      writeFileSync(join(folder, "data/fleet/next/enrolment.json"), JSON.stringify({ token: secrets.enrolment }), {
        mode: 0o600,
      });
      const more = {
        log: { level: "debug" },
        mode: "auto",
        people: {
          otto: { roles: ["operator"], tokenHash: createHash("sha256").update(secrets.personToken).digest("hex") },
        },
        endpoints: {
          hook: endpoint(put("hook.token", secrets.hookToken)),
          odd: endpoint(put("odd.token", `a\n${secrets.twoLines}`)),
          exposed: endpoint(put("exposed.token", secrets.exposed)),
        },
        mail: {
          ...{ host: "127.0.0.1", port: 9, security: "none", username: "u", from: "a@plant.example" },
          passwordFile: put("mail.password", secrets.mailPassword),
        },
        tools: {
          tell: { kind: "notify", via: "webhook", endpoint: "hook" },
          open: { kind: "webhook", endpoint: "hook", body: {} },
          odd: { kind: "webhook", endpoint: "odd", body: {} },
        },
        policy: [{ id: "all", effect: "permit" }],
        agents: {
          one: {
            ...{ priority: "action", record: { quiet: "all" } },
            sources: [{ kind: "mqtt", topic: "sensor/{k}", key: "k", fields: { v: { min: 0, max: 1 } } }],
            rules: [
              {
                ...{ id: "up", when: "event.fields.v > 0.5" },
                do: [{ tool: "tell", arguments: { text: "'up'" } }, { tool: "open" }, { tool: "odd" }],
              },
            ],
          },
        },
        fleet: {
          keys: [site.fleet("key").trim()],
          username: "plant-7",
          passwordFile: put("fleet.password", secrets.fleetPassword),
        },
      };
      const port = await freePort();
      const users = { pump: { passwordFile: put("bus.password", secrets.busPassword), publish: ["sensor/#"] } };
      const { daemon, data, config } = await site.startGateway("plant-7", {
        ...more,
        bus: { kind: "embedded", port, users },
      });
      const own = readFileSync(join(data, "gateway.key"), "utf8");
      const keys = {
        ...keyForms("gateway.key", own),
        ...keyForms("a key that waits", waiting),
        ...keyForms("maria's key", maria),
      };
      // Every one of them is used, rightly and wrongly.
      const bus = { username: "pump", protocolVersion: 4 as const, reconnectPeriod: 0 };
      const connecting = connectAsync(daemon.bus, { ...bus, password: secrets.wrongPassword });
      await expect(connecting).rejects.toThrow(/not authori[sz]ed|bad user/i);
      const sensor = await connectAsync(daemon.bus, { ...bus, password: secrets.busPassword });
      await sensor.publishAsync("sensor/a", JSON.stringify({ v: 0.9 }), { qos: 1 });
      await sensor.endAsync();
      expect(await becomes(() => heard.length >= 2, 30_000)).toBe(true);
      const token = (secret: string): string => join(folder, put(`${secret.slice(0, 14)}.person`, secret));
      const where = ["--config", config, "--data", data];
      const said = [
        run("stop", "a test", ...where, "--token-file", token(secrets.strangersToken)),
        run("release", ...where, "--token-file", token(secrets.strangersToken)),
        run("release", ...where, "--token-file", token(secrets.personToken)),
      ];
      expect(said[1]).toContain("NOT_ALLOWED");
      const bundle = join(site.folder, "own.json.gz");
      const commandOfFleet = (...args: string[]): string => {
        const done = spawnSync(process.execPath, [childPath("fleet/main"), ...args], {
          cwd: site.folder,
          encoding: "utf8",
        });
        return `${args.join(" ")}\n${done.stdout}\n${done.stderr}`;
      };
      said.push(commandOfFleet("command", "plant-7", "support-bundle"));
      const afar = (): string => commandOfFleet("support-bundle", "plant-7", "--json");
      expect(await becomes(() => afar().includes('"kind":"support"'), LONG_MS)).toBe(true);
      said.push(afar(), run("support-bundle", ...where, "--out", bundle), gunzipSync(readFileSync(bundle)).toString());
      said.push(
        run("support-bundle", "--json", ...where),
        run("config", "effective", ...where),
        run("config", "effective", "--json", ...where),
      );
      for (const verb of ["status", "agents", "decisions", "actions", "approvals", "link", "outbox"])
        said.push(run(verb, ...where), run(verb, "--json", ...where));
      said.push(
        run("tools", "list", ...where),
        run("audit", "show", "--json", ...where),
        run("audit", "export", ...where),
      );
      const archive = join(site.folder, "plant-7.tar.gz");
      said.push(
        run("backup", archive, ...where),
        run("backup", "verify", archive),
        run("backup", "verify", archive, "--json"),
      );
      // With a file that all may read, and after that with one that is damaged.
      chmodSync(join(folder, "exposed.token"), 0o644);
      said.push(run("check-config", config), run("run", "--config", config, "--data", join(folder, "other")));
      await daemon.stop();
      said.push(daemon.lines.map((line) => JSON.stringify(line)).join("\n"));
      const open = join(site.folder, "without.tar.gz");
      said.push(run("backup", open, ...where, "--without-keys"), gunzipSync(readFileSync(open)).toString("latin1"));
      // They are real: the server was given the token, and a backup has the key.
      expect(heard).toContain(`Bearer ${secrets.hookToken}`);
      expect(leaksIn(gunzipSync(readFileSync(archive)).toString("latin1"), keys)).not.toEqual([]);
      expect(said.join("\n").length).toBeGreaterThan(20_000);
      expect(
        said.flatMap((text) => leaksIn(text, { ...secrets, ...keys }).map((leak) => `${text.slice(0, 60)}: ${leak}`)),
      ).toEqual([]);
    } finally {
      server.close();
      await site.close();
    }
  });
});
