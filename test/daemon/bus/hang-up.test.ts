import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { PassThrough } from "node:stream";
import { expect, it } from "vitest";
import { hangUp } from "../../../daemon/bus/hang-up.ts";

async function pair(): Promise<[Socket, Socket, () => void]> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  const near = connect(address.port, "127.0.0.1");
  const [[far]] = await Promise.all([once(server, "connection") as Promise<[Socket]>, once(near, "connect")]);
  return [near, far, () => server.close()];
}

it("resets a connection on which nothing waits", async () => {
  const [near, far, close] = await pair();
  const failed = once(far, "error");
  hangUp(near);
  expect((await failed)[0]).toMatchObject({ code: "ECONNRESET" });
  close();
});

it("lets nothing more out of the buffers", async () => {
  const [near, far, close] = await pair();
  far.pause();
  far.on("error", () => {});
  const bytes = 60_000_000;
  near.write(Buffer.alloc(bytes));
  hangUp(near);
  const closed = once(far, "close");
  far.resume();
  await closed;
  expect(far.bytesRead).toBeLessThan(bytes / 10);
  close();
});

it("destroys what is no socket, and minds no second call", async () => {
  const stream = new PassThrough();
  hangUp(stream);
  hangUp(stream);
  expect(stream.destroyed).toBe(true);
  const [near, far, close] = await pair();
  near.destroy();
  hangUp(near);
  far.destroy();
  close();
});
