import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { systemResolve } from "../../../../daemon/act/tools/dial.ts";
import { createHttpGet, type Endpoint, type HttpGetDeps } from "../../../../daemon/act/tools/http-get.ts";

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

async function serverOf(handler: Handler): Promise<string> {
  const server = createServer(handler).listen(0, "127.0.0.1");
  servers.push(server);
  await once(server, "listening");
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function getterOf(endpoint: Partial<Endpoint>, deps: Partial<HttpGetDeps> = {}) {
  const all = {
    resolve: systemResolve,
    files: { secret: () => "token", text: () => "" },
    mayLeave: () => true,
    ...deps,
  };
  const getter = createHttpGet({ url: "", privateAddress: true, ...endpoint }, all);
  const stop = new AbortController();
  return { stop, ask: (given = {}, timeoutMs = 5000) => getter.ask(given, timeoutMs, stop.signal) };
}

const json =
  (value: unknown): Handler =>
  (_, response) =>
    void response.end(JSON.stringify(value));

describe("an HTTP question", () => {
  test("is a GET with its arguments as parameters and the token as bearer, and is answered by JSON", async () => {
    const seen: (string | undefined)[] = [];
    const url = await serverOf((request, response) => {
      seen.push(request.method, request.url, request.headers.authorization, request.headers.accept);
      response.end('{ "price": 0.31 }');
    });
    const { ask } = getterOf({ url: `${url}/now?site=north`, secretFile: "hook.token" });
    const answer = await ask({ pump: "a&site=b /..#?", most: 3, on: true });
    expect(answer).toEqual({ ok: true, value: { price: 0.31 }, text: '{"price":0.31}' });
    expect(seen).toEqual([
      "GET",
      "/now?site=north&pump=a%26site%3Db+%2F..%23%3F&most=3&on=true",
      "Bearer token",
      "application/json",
    ]);
  });

  test("has no answer in another status, in what is not JSON, and in what is too large", async () => {
    const cases: [Handler, string][] = [
      [(_, response) => void response.writeHead(500).end("{}"), "refused"],
      [(_, response) => void response.end("<html>"), "invalidAnswer"],
      [(_, response) => void response.writeHead(204).end(), "invalidAnswer"],
      [json("x".repeat(5000)), "tooLarge"],
      [json("x".repeat(200_000)), "tooLarge"],
    ];
    for (const [handler, reason] of cases)
      expect(await getterOf({ url: await serverOf(handler) }).ask()).toMatchObject({ ok: false, reason });
  });

  test("follows no redirect, wherever it leads", async () => {
    const asked: string[] = [];
    const url = await serverOf((request, response) => {
      asked.push(String(request.url));
      response.writeHead(302, { Location: "/b" }).end('{"price":1}');
    });
    expect(await getterOf({ url: `${url}/a` }).ask()).toEqual({ ok: false, reason: "refused", detail: "status 302" });
    expect(asked).toEqual(["/a"]);
  });

  test("reaches no private address that nobody named as one", async () => {
    let asked = 0;
    const url = await serverOf((_, response) => {
      asked += 1;
      response.end("1");
    });
    const named = url.replace("127.0.0.1", "localhost");
    for (const one of [url, named])
      expect(await getterOf({ url: one, privateAddress: false }).ask()).toMatchObject({
        ok: false,
        reason: "unreachable",
      });
    expect(asked).toBe(0);
  });

  test("ends in time where nothing answers, or a byte at a time", async () => {
    const silent = await serverOf(() => undefined);
    expect(await getterOf({ url: silent }).ask({}, 100)).toMatchObject({ ok: false, reason: "timeout" });
    const drips = await serverOf((_, response) => {
      const timer = setInterval(() => response.write(" "), 10);
      response.on("close", () => clearInterval(timer));
    });
    expect(await getterOf({ url: drips }).ask({}, 200)).toMatchObject({ ok: false });
    const { stop, ask } = getterOf({ url: silent });
    const asked = ask();
    stop.abort();
    expect(await asked).toMatchObject({ ok: false });
  });

  test("is not asked when it may not leave, nor without its secret", async () => {
    let asked = 0;
    const url = await serverOf((_, response) => {
      asked += 1;
      response.end("1");
    });
    expect(await getterOf({ url }, { mayLeave: () => false }).ask()).toMatchObject({ ok: false });
    const secret = (): string => {
      throw new Error("no such file");
    };
    const without = getterOf({ url, secretFile: "x" }, { files: { secret, text: secret } });
    expect(await without.ask()).toEqual({ ok: false, reason: "unreachable", detail: "no such file" });
    expect(await getterOf({ url: "http://127.0.0.1:1" }).ask()).toMatchObject({ ok: false, reason: "unreachable" });
    expect(asked).toBe(0);
  });

  test("is not asked with a URL that is too long", async () => {
    const { ask } = getterOf({ url: "http://127.0.0.1:1/" });
    expect(await ask({ x: "é".repeat(1000) })).toMatchObject({ ok: false, reason: "argument" });
  });
});
