import { createServer, type IncomingMessage, type RequestListener, type Server } from "node:http";
import { createServer as createTlsServer, type ServerOptions } from "node:https";
import { type AddressInfo, createServer as createTcpServer, type Socket, type Server as TcpServer } from "node:net";
import { until } from "./bus.ts";

export interface Request {
  readonly method: string | undefined;
  readonly path: string | undefined;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

const open = new Set<{ close: () => Promise<void> }>();

/** Ends all servers of this test and what hangs on them; fails where a connection is then still there. */
export async function closeServers(): Promise<void> {
  for (const one of open) await one.close();
  open.clear();
  await until("the end of all connections", () => !process.getActiveResourcesInfo().includes("TCPSocketWrap"));
}

/** Keeps requests when they are whole, and answers as it is told. */
export async function webServer(answer: RequestListener, tls?: ServerOptions) {
  const requests: Request[] = [];
  const listener: RequestListener = (request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const { method, url, headers } = request;
      requests.push({ method, path: url, headers, body: Buffer.concat(chunks).toString() });
      answer(request, response);
    });
  };
  const server: Server = tls === undefined ? createServer(listener) : createTlsServer(tls, listener);
  return { requests, ...(await listening(server)) };
}

/** A server below HTTP: gets each connection, and keeps what comes over it. */
export async function tcpServer(connected: (socket: Socket) => void) {
  const heard: Buffer[] = [];
  const server = createTcpServer((socket) => {
    socket.on("error", () => {});
    socket.on("data", (chunk) => heard.push(chunk));
    connected(socket);
  });
  return { text: () => Buffer.concat(heard).toString("latin1"), ...(await listening(server)) };
}

async function listening(server: TcpServer) {
  const sockets = new Set<Socket>();
  let connections = 0;
  server.on("connection", (socket: Socket) => {
    connections += 1;
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
  });
  server.on("tlsClientError", () => {});
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const close = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  };
  open.add({ close });
  return { port, connections: () => connections, openSockets: () => sockets.size };
}
