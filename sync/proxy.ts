import { request } from "node:http";
import type { Duplex } from "node:stream";

const CONNECT_TIMEOUT_MS = 15_000;

/**
 * A way through an HTTP proxy (RFC 9110, CONNECT) to a broker, for TLS to be spoken over it. Rejects with the code PROXY
 * where the proxy does not let it through. User and password come from the proxy's URL.
 */
export function throughProxy(proxy: string, host: string, port: number): Promise<Duplex> {
  const { hostname, port: proxyPort, username, password } = new URL(proxy);
  const target = `${host.includes(":") && !host.startsWith("[") ? `[${host}]` : host}:${port}`;
  const credentials = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  const basic = { "proxy-authorization": `Basic ${Buffer.from(credentials).toString("base64")}` };
  return new Promise((resolve, reject) => {
    const fail = (why: string): void => {
      asked.destroy();
      reject(Object.assign(new Error(why), { code: "PROXY" }));
    };
    const asked = request({
      ...{
        host: hostname,
        port: Number(proxyPort || 80),
        method: "CONNECT",
        path: target,
        timeout: CONNECT_TIMEOUT_MS,
      },
      headers: { host: target, ...(username === "" ? {} : basic) },
    });
    asked.once("connect", (response, socket) => {
      if (response.statusCode === 200) resolve(socket);
      else {
        socket.destroy();
        fail(`the proxy answered ${response.statusCode}`);
      }
    });
    asked.once("response", (response) => fail(`the proxy answered ${response.statusCode}`));
    asked.once("timeout", () => fail("the proxy does not answer"));
    asked.once("error", (error) => fail(error.message));
    asked.end();
  });
}
