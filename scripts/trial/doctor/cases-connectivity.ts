import { NEAR } from "../cable/network.ts";
import { becomes } from "../claims.ts";
import { type ClientCertificate, HOST, PASSWORD, type ServerCertificate } from "./broker.ts";
import type { Case } from "./case.ts";
import { FILE, type Site } from "./site.ts";

const EMBEDDED = "bus: { kind: embedded, host: 127.0.0.1, port: 1883 }";
const THIEF = 'require("node:net").createServer().listen(1883, "127.0.0.1")';

async function good(site: Site): Promise<void> {
  await site.broker.stop();
  await site.broker.start();
  await site.connected();
}

function served(name: string, kind: ServerCertificate, problem: string, todo: string): Case {
  return {
    ...{ name, check: "connectivity.tls", problem, todo },
    break: async (site) => {
      await site.broker.stop();
      await site.broker.start(kind);
      if (kind === "ends soon") await site.connected();
    },
    mend: good,
  };
}

function certified(name: string, kind: ClientCertificate, problem: string, todo: string): Case {
  return {
    ...{ name, check: "connectivity.certificate", problem, todo },
    break: (site) => site.certify(kind),
    mend: (site) => site.certify("good"),
  };
}

export const connectivityCases: readonly Case[] = [
  {
    ...{
      name: "the broker's name is not known",
      check: "connectivity.names",
      problem: "unknown",
      todo: `have ${HOST} entered in DNS`,
    },
    break: (site) => site.hosts(undefined),
    mend: (site) => site.hosts(NEAR),
  },
  {
    ...{ name: "the name server is dead", check: "connectivity.names", problem: "silent", todo: "/etc/resolv.conf" },
    break: (site) => {
      site.names.silence();
      site.hosts(undefined);
    },
    mend: (site) => {
      site.names.speak();
      site.hosts(NEAR);
    },
  },
  {
    ...{
      name: "nothing listens on the broker's port",
      check: "connectivity.reach",
      problem: "refused",
      todo: `Start the service on ${HOST}`,
    },
    break: (site) => site.broker.stop(),
    mend: good,
  },
  {
    ...{
      name: "nothing comes back from the broker",
      check: "connectivity.reach",
      problem: "silent",
      todo: `ping ${HOST}`,
    },
    break: (site) => site.blackHole(),
    mend: (site) => site.hosts(NEAR),
  },
  {
    ...{
      name: "there is no route to the broker",
      check: "connectivity.reach",
      problem: "unreachable",
      todo: "ip route get 203.0.113.1",
    },
    break: (site) => site.hosts("203.0.113.1"),
    mend: (site) => site.hosts(NEAR),
  },
  {
    ...{
      name: "the broker takes connections and says nothing",
      check: "connectivity.tls",
      problem: "failed",
      todo: "TLS 1.2",
    },
    break: async (site) => {
      await site.broker.stop();
      await site.broker.startMute();
    },
    mend: good,
  },
  served("the broker's certificate is of another CA", "other CA", "untrusted", "bus.tls.caFile"),
  served("the broker's certificate has expired", "expired", "expired", "certificate renewed"),
  served("the broker's certificate is not valid yet", "not yet valid", "not-yet-valid", "date -u"),
  served("the broker's certificate is for another name", "other name", "wrong-name", "tls.serverName"),
  served("the broker's certificate ends in 10 days", "ends soon", "expires-soon", `certificate of ${HOST} renewed`),
  certified("our certificate has expired", "expired", "expired", "Get a new one"),
  certified("our certificate ends in 10 days", "ends soon", "expires-soon", "Renew"),
  {
    ...{
      name: "our key is another certificate's",
      check: "connectivity.certificate",
      problem: "mismatched",
      todo: "made together",
    },
    break: async (site) => {
      const { pem } = await site.broker.client("good");
      site.write("/etc/holdfast/gateway.pem", pem);
    },
    mend: (site) => site.certify("good"),
  },
  {
    ...{ name: "a wrong password", check: "connectivity.login", problem: "refused", todo: "bus.passwordFile" },
    break: (site) => site.password("not this one"),
    mend: (site) => site.password(PASSWORD),
  },
  {
    ...{ name: "another program has port 1883", check: "connectivity.port", problem: "taken", todo: "kind: external" },
    break: async (site) => {
      site.save(FILE);
      site.sh(`sed -i 's/^bus: .*/${EMBEDDED}/' ${FILE}`);
      site.machine.run("systemd-run", "--unit=thief", "/usr/lib/holdfast/bin/node", "-e", THIEF);
      await becomes(() => site.machine.try("ss", "-ltn").out.includes(":1883 "), 10_000);
    },
    mend: (site) => {
      site.sh("systemctl stop thief");
      site.restore(FILE);
    },
  },
];
