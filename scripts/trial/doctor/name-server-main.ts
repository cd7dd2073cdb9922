import { createSocket } from "node:dgram";

/** A name server that knows no name at all: `name-server-main ADDRESS`. Ends with its parent. */
const NO_SUCH_NAME = 3;
const socket = createSocket("udp4");
socket.on("message", (query, { address, port }) => {
  // RFC 1035, 4.1.1: the question comes back with the answer's bit, and the code that there is no such name.
  const answer = Buffer.from(query.subarray(0, 12 + questionBytes(query)));
  answer[2] = 0x81;
  answer[3] = 0x80 | NO_SUCH_NAME;
  answer.fill(0, 6, 12);
  socket.send(answer, port, address);
});
process.on("disconnect", () => process.exit());
socket.bind(53, process.argv[2], () => process.send?.("listening"));

/** A name, its type and its class. */
function questionBytes(query: Buffer): number {
  let at = 12;
  while ((query[at] ?? 0) !== 0) at += 1 + (query[at] ?? 0);
  return at + 5 - 12;
}
