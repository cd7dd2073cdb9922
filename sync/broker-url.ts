const PORTS: Readonly<Record<string, number>> = { "mqtt:": 1883, "mqtts:": 8883, "wss:": 443 };

/** Where a broker's URL leads. The host of an IPv6 address keeps its brackets. */
export function placeOf(url: string): { readonly protocol: string; readonly host: string; readonly port: number } {
  const { protocol, hostname, port } = new URL(url);
  return { protocol, host: hostname.toLowerCase(), port: port === "" ? (PORTS[protocol] ?? 0) : Number(port) };
}

/** Whether a broker's reference to a server (MQTT 5, 4.11) is this URL's. */
export function isNamed(url: string, reference: string): boolean {
  const { host, port } = placeOf(url);
  const named = reference.replace(/^[a-z]+:\/\//, "").toLowerCase();
  return named === host || named === `${host}:${port}`;
}
