import { agentFindings } from "./agent-references.ts";
import type { GatewayConfig } from "./gateway.ts";
import { atKey, atValue, type Finding, type Path, suggest } from "./problems.ts";
import { queryFindings } from "./query-references.ts";
import type { ReleaseConfig } from "./release.ts";
import { partOfValue } from "./schema-tree.ts";
import { toolFindings } from "./tool-references.ts";
import { clientTopicMistake } from "./topic-syntax.ts";

export interface Whole {
  readonly gateway: GatewayConfig;
  readonly generation: ReleaseConfig;
}

/** What the files say, also where the schema refused it: a misspelt entry still has a name that others may use. */
export interface Written {
  names(path: Path): readonly string[];
  has(path: Path): boolean;
}

/** What one part of a configuration says of another: names that must exist, and combinations that can not work. */
export function references(
  config: Whole,
  raw: unknown,
  originalPath: (path: Path) => Path = (path) => path,
): Finding[] {
  const written = writtenIn(raw, originalPath);
  const { gateway, generation } = config;
  return [
    ...busFindings(gateway, written),
    ...gatewayFindings(gateway),
    ...Object.entries(generation.agents).flatMap(([name, agent]) => agentFindings(name, agent, written)),
    ...modelFindings(generation, written),
    ...toolFindings(config, written),
    ...policyFindings(generation, written),
    ...policyTestFindings(generation, written),
    ...queryFindings(generation, written),
  ];
}

function writtenIn(raw: unknown, originalPath: (path: Path) => Path): Written {
  const at = (path: Path): unknown => originalPath(path).reduce<unknown>((here, part) => partOfValue(here, part), raw);
  return {
    names: (path) => {
      const value = at(path);
      return typeof value === "object" && value !== null && !Array.isArray(value) ? Object.keys(value) : [];
    },
    has: (path) => at(path) !== undefined,
  };
}

const LOOPBACK = /^(127(\.\d{1,3}){3}|::1|localhost)$/;

function busFindings(gateway: GatewayConfig, written: Written): Finding[] {
  const { bus } = gateway;
  if (bus.kind === "external")
    return [...credentialsInUrl(["bus", "url"], bus.url, "username and passwordFile"), ...externalBus(bus)];
  const found: Finding[] = [];
  const isOpen = bus.anonymous !== true && written.names(["bus", "users"]).length === 0;
  if (isOpen && !LOOPBACK.test(bus.host)) {
    const message = `${bus.host} can be reached from other machines, where anybody could publish false readings`;
    found.push(
      atValue(["bus", "host"], message, "Name users under bus.users, say bus.anonymous: true, or listen on 127.0.0.1."),
    );
  }
  for (const [name, user] of Object.entries(bus.users)) {
    for (const list of ["publish", "subscribe"] as const) {
      for (const [index, topic] of user[list].entries()) {
        const mistake = clientTopicMistake(topic);
        if (mistake !== undefined) found.push(atValue(["bus", "users", name, list, index], mistake));
      }
    }
  }
  return found;
}

function externalBus(bus: Extract<GatewayConfig["bus"], { kind: "external" }>): Finding[] {
  const found: Finding[] = [];
  const { certificateFile, keyFile } = bus.tls ?? {};
  if (bus.passwordFile !== undefined && bus.username === undefined) {
    found.push(atValue(["bus", "passwordFile"], "a password without a username", "Add bus.username."));
  }
  if (certificateFile !== undefined && keyFile === undefined) {
    found.push(
      atValue(["bus", "tls", "certificateFile"], "a client certificate without its key", "Add bus.tls.keyFile."),
    );
  }
  if (keyFile !== undefined && certificateFile === undefined) {
    found.push(
      atValue(
        ["bus", "tls", "keyFile"],
        "a key without the client certificate it belongs to",
        "Add bus.tls.certificateFile.",
      ),
    );
  }
  if (bus.tls !== undefined && !/^(mqtts|wss):/.test(bus.url)) {
    found.push(
      atValue(
        ["bus", "url"],
        "tls is set, but this URL does not use it",
        "Begin the URL with mqtts://, or leave tls out.",
      ),
    );
  }
  return found;
}

function credentialsInUrl(path: Path, url: string, instead: string): Finding[] {
  if (!URL.canParse(url))
    return [atValue(path, "this is not a complete URL", "A URL has a scheme, a host and often a port.")];
  const { username, password } = new URL(url);
  if (username === "" && password === "") return [];
  return [atValue(path, "user and password do not belong into a URL", `Use ${instead}.`)];
}

function gatewayFindings(gateway: GatewayConfig): Finding[] {
  const found: Finding[] = [];
  for (const [name, endpoint] of Object.entries(gateway.endpoints)) {
    found.push(...credentialsInUrl(["endpoints", name, "url"], endpoint.url, "secretFile"));
  }
  if (gateway.mail !== undefined) found.push(...mailFindings(gateway.mail));
  const { ballastBytes, maxBytes } = gateway.store;
  if (ballastBytes * 2 > maxBytes) {
    found.push(
      atValue(
        ["store", "ballastBytes"],
        `expected at most half of store.maxBytes (${maxBytes}), found ${ballastBytes}`,
      ),
    );
  }
  return found;
}

function mailFindings({ host, security, username, passwordFile }: NonNullable<GatewayConfig["mail"]>): Finding[] {
  const found: Finding[] = [];
  if (security === "none" && !LOOPBACK.test(host)) {
    const message = `mail to ${host} would go over the network unprotected`;
    found.push(atValue(["mail", "security"], message, "Say starttls or tls; none is for a server on this machine."));
  }
  if (username !== undefined && passwordFile === undefined)
    found.push(atValue(["mail", "username"], "a username without a password", "Add mail.passwordFile."));
  if (username === undefined && passwordFile !== undefined)
    found.push(atValue(["mail", "passwordFile"], "a password without a username", "Add mail.username."));
  return found;
}

function modelFindings(generation: ReleaseConfig, written: Written): Finding[] {
  return Object.entries(generation.models).flatMap(([name, model]) => {
    const found: Finding[] = [];
    const lanes = ["main", ...written.names(["hosts", "lanes"])];
    if (!lanes.includes(model.lane)) {
      found.push(
        unknownName(
          ["models", name, "lane"],
          "lane",
          model.lane,
          lanes,
          "Name it under hosts.lanes of the gateway's file.",
        ),
      );
    }
    if (model.hardTimeoutSeconds < model.deadlineSeconds) {
      const message = `expected at least deadlineSeconds (${model.deadlineSeconds} s), found ${model.hardTimeoutSeconds} s`;
      found.push(
        atValue(["models", name, "hardTimeoutSeconds"], message, "Until its deadline a run must be allowed to go on."),
      );
    }
    return found;
  });
}

function policyFindings(generation: ReleaseConfig, written: Written): Finding[] {
  const seen = new Set<string>();
  return generation.policy.flatMap((rule, index) => {
    const found: Finding[] = [];
    if (seen.has(rule.id))
      found.push(atValue(["policy", index, "id"], `another rule of the policy has the id "${rule.id}" too`));
    seen.add(rule.id);
    for (const [section, what] of [
      ["tools", "tool"],
      ["agents", "agent"],
    ] as const) {
      const known = written.names([section]);
      for (const [at, name] of rule[section].entries()) {
        if (name !== "*" && !known.includes(name))
          found.push(unknownName(["policy", index, section, at], what, name, known));
      }
    }
    return found;
  });
}

function policyTestFindings(generation: ReleaseConfig, written: Written): Finding[] {
  return generation.policyTests.flatMap(({ action }, index) => {
    const at: Path = ["policyTests", index, "action"];
    const found: Finding[] = [];
    for (const [section, key] of [
      ["tools", "tool"],
      ["agents", "agent"],
    ] as const) {
      const name = action[key];
      const known = written.names([section]);
      if (name !== undefined && !known.includes(name)) found.push(unknownName([...at, key], key, name, known));
    }
    if (action.agent !== undefined && action.by !== undefined)
      found.push(atKey([...at, "by"], "an action is proposed by an agent or by a person, not by both"));
    return found;
  });
}

export function unknownName(
  path: Path,
  what: string,
  name: string,
  known: readonly string[],
  otherwise?: string,
): Finding {
  return atValue(path, `there is no ${what} "${name}"`, suggest(name, known, otherwise));
}
