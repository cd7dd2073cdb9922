import { createServer } from "node:net";
import { expect, it } from "vitest";
import { listeningInodes, portOwner } from "../../../daemon/bus/port-owner.ts";

it("finds the sockets that listen on a port, and not those that are connected to it", () => {
  const table = [
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode",
    "   0: 0100007F:075B 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4242 1 0000000000000000 100 0 0 10 0",
    "   1: 0100007F:075B 0100007F:D431 01 00000000:00000000 00:00000000 00000000     0        0 4343 1 0000000000000000 20 4 30 10 -1",
    "   2: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4444 1 0000000000000000 100 0 0 10 0",
  ].join("\n");
  expect(listeningInodes(table, 1883)).toEqual(["4242"]);
  expect(listeningInodes("", 1883)).toEqual([]);
});

it("knows the process that listens", async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  expect(portOwner(port)).toMatchObject({ pid: process.pid });
  await new Promise((resolve) => server.close(resolve));
  expect(portOwner(port)).toBeUndefined();
});
