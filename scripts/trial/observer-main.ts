import { PlainClient } from "./act/plain-client.ts";
import { becomes } from "./claims.ts";

const CONNECT_MS = 10_000;

/** One process that does nothing but look at what reaches the plant: `observer-main PORT FILTER…`. */
const [port, ...filters] = process.argv.slice(2);
const tell = process.send?.bind(process);
if (tell === undefined) throw new Error("the observer tells its parent what it sees");
process.on("disconnect", () => process.exit(0));
const client = new PlainClient(Number(port), "observer", filters);
client.onMessage = ({ topic, payload, isAgain }) => {
  tell({ topic, payload: payload.toString(), isAgain, atMs: performance.timeOrigin + performance.now() });
};
client.open();
await becomes(() => client.isOpen, CONNECT_MS);
tell("subscribed");
