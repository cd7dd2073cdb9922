import type { IClientSubscribeProperties, MqttClient } from "mqtt";

export type WantedFilter = Omit<IClientSubscribeProperties, "qos"> & { readonly qos: 0 | 1 };

/** Sends one SUBSCRIBE. Returns what the broker refused, with the reason codes; rejects when it gives no answer. */
export async function askFor(
  client: MqttClient,
  wanted: Readonly<Record<string, WantedFilter>>,
  subscriptionIdentifier = 0,
): Promise<Map<string, number>> {
  const properties = subscriptionIdentifier === 0 ? {} : { properties: { subscriptionIdentifier } };
  const codes = await new Promise<readonly unknown[]>((resolve, reject) => {
    client.subscribe({ ...wanted }, { qos: 1, ...properties }, (error, _granted, packet) => {
      const granted = packet?.granted;
      if (granted !== undefined) resolve(granted);
      else reject(error ?? new Error("the broker did not answer the subscription"));
    });
  });
  const refused = new Map<string, number>();
  // The library goes by the order of the object's keys, which is not always that of a list.
  for (const [at, filter] of Object.keys(wanted).entries()) {
    const code = codes[at];
    if (typeof code === "number" && code >= 0x80) refused.set(filter, code);
  }
  return refused;
}
