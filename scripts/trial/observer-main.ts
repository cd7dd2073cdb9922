import { Subscriber } from "./subscriber.ts";

/** One process that does nothing but look at what reaches the plant: `observer-main PORT FILTER…`. */
const [port, ...filters] = process.argv.slice(2);
const tell = process.send?.bind(process);
if (tell === undefined) throw new Error("the observer tells its parent what it sees");
process.on("disconnect", () => process.exit(0));
await new Subscriber(Number(port), "observer", filters, (topic, payload) => {
  tell({ topic, payload: payload.toString(), atMs: performance.timeOrigin + performance.now() });
}).open();
tell("subscribed");
