/** A fleet's or a gateway's name: one level of a topic. Without dots, since some brokers take them for slashes. */
export const TOPIC_NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;

const ROOT = "holdfast/v1";

/** What a gateway may publish below its own name, and what it listens to. Six levels at most: some brokers allow seven. */
export interface GatewayTopics {
  readonly hello: string;
  /** Retained: what the fleet sees of the gateway; the last will is published here too. */
  readonly state: string;
  readonly acknowledgement: string;
  readonly command: string;
  readonly desired: string;
  readonly backfill: string;
  /** Answers to what was asked on `rep/csr`. */
  readonly certificate: string;
  up(stream: string): string;
  report(what: string): string;
}

export function gatewayTopics(fleet: string, gateway: string): GatewayTopics {
  const base = `${ROOT}/${fleet}/${gateway}`;
  return {
    hello: `${base}/up/hello`,
    state: `${base}/state`,
    acknowledgement: `${base}/down/ack`,
    command: `${base}/down/cmd`,
    desired: `${base}/down/desired`,
    backfill: `${base}/down/backfill`,
    certificate: `${base}/down/enrol`,
    up: (stream) => `${base}/up/${stream}`,
    report: (what) => `${base}/rep/${what}`,
  };
}

/** What all collectors of a fleet listen to together: each message goes to one of them. */
export function collectorFilters(fleet: string): readonly string[] {
  const shared = `$share/collector/${ROOT}/${fleet}/+`;
  return [`${shared}/up/+`, `${shared}/rep/+`];
}

/** Retained, so each collector hears it for itself. */
export function stateFilter(fleet: string): string {
  return `${ROOT}/${fleet}/+/state`;
}

export interface UpTopic {
  readonly fleet: string;
  readonly gateway: string;
  readonly branch: "up" | "rep" | "state";
  /** A stream, `hello`, or what is reported; empty for `state`. */
  readonly what: string;
}

/** Takes a gateway's topic apart; undefined for one that is none. */
export function upTopic(topic: string): UpTopic | undefined {
  const [root, version, fleet = "", gateway = "", branch, what = "", ...more] = topic.split("/");
  if (root !== "holdfast" || version !== "v1" || more.length > 0) return undefined;
  if (!TOPIC_NAME.test(fleet) || !TOPIC_NAME.test(gateway)) return undefined;
  if (branch === "state") return what === "" ? { fleet, gateway, branch, what } : undefined;
  return (branch === "up" || branch === "rep") && what !== "" ? { fleet, gateway, branch, what } : undefined;
}

const NEWCOMER = "enrol:";

/**
 * The name of a gateway that has no certificate of its own yet: that of its bootstrap certificate, and its level of a topic.
 * No gateway can be called so, and what a broker lets a gateway do below its own name is what this one may do below this.
 */
export function newcomerName(gateway: string): string {
  return `${NEWCOMER}${gateway}`;
}

/** What the one who signs certificates listens to, for itself alone. */
export function requestFilter(fleet: string): string {
  return `${ROOT}/${fleet}/+/rep/csr`;
}

export interface RequestTopic {
  readonly fleet: string;
  readonly gateway: string;
  /** Asked with a bootstrap certificate. */
  readonly isNewcomer: boolean;
  /** Where the answer goes. */
  readonly answer: string;
}

/** Takes the topic of a request for a certificate apart; undefined for any other. */
export function requestTopic(topic: string): RequestTopic | undefined {
  const [root, version, fleet = "", name = "", branch, what, ...more] = topic.split("/");
  if (`${root}/${version}` !== ROOT || branch !== "rep" || what !== "csr" || more.length > 0) return undefined;
  const isNewcomer = name.startsWith(NEWCOMER);
  const gateway = isNewcomer ? name.slice(NEWCOMER.length) : name;
  if (!TOPIC_NAME.test(fleet) || !TOPIC_NAME.test(gateway)) return undefined;
  return { fleet, gateway, isNewcomer, answer: `${ROOT}/${fleet}/${name}/down/enrol` };
}
