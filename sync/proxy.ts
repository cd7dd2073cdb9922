import { request } from "node:http";
import type { Socket } from "node:net";

/**
 * Asks the HTTP proxy at the other end of `socket` for a way to `target` (RFC 9110, 9.3.6): afterwards the socket leads
 * there. Rejects with the code PROXY where the proxy does not let it through. User and password come from the proxy's URL.
 */
export function throughProxy(socket: Socket, proxy: string, target: string): Promise<void> {
  const { username, password } = new URL(proxy);
  const credentials = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  const basic = { "proxy-authorization": `Basic ${Buffer.from(credentials).toString("base64")}` };
  return new Promise((resolve, reject) => {
    const fail = (why: string): void => {
      asked.destroy();
      reject(Object.assign(new Error(why), { code: "PROXY" }));
    };
    const asked = request({
      ...{ method: "CONNECT", path: target, createConnection: () => socket },
      headers: { host: target, ...(username === "" ? {} : basic) },
    });
    asked.once("connect", (response, _socket, head) => {
      const { statusCode = 0 } = response;
      // RFC 9110, 9.3.6: any 2xx is a yes.
      if (statusCode < 200 || statusCode > 299) return fail(`the proxy answered ${statusCode}`);
      if (head.length > 0) socket.unshift(head);
      resolve();
    });
    asked.once("response", ({ statusCode }) => fail(`the proxy answered ${statusCode}`));
    asked.once("error", (error) => fail(error.message));
    asked.end();
  });
}
