import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { type AddressInfo, connect, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer as createTlsServer } from "node:tls";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { certificatesIn } from "../../scripts/fleet/certificates.ts";
import { becomes } from "../../scripts/trial/claims.ts";
import { type DialOptions, dialWithin, type Line } from "../../sync/dial.ts";
import { networkReason } from "../../sync/reasons.ts";

const folder = mkdtempSync(join(tmpdir(), "holdfast-dial-"));
const pem = (name: string): string => readFileSync(join(folder, name), "utf8");
const open: (() => unknown)[] = [];

beforeAll(() => {
  const made = certificatesIn(folder);
  made.authority("ca");
  made.authority("stranger");
  made.certificate("broker", "ca", "subjectAltName=DNS:localhost,IP:127.0.0.1,DNS:broker.fleet.example");
  made.certificate("expired", "ca", "subjectAltName=IP:127.0.0.1", "20200101000000Z", "20200102000000Z");
  made.certificate("early", "ca", "subjectAltName=IP:127.0.0.1", "20900101000000Z", "20900102000000Z");
  made.certificate("elsewhere", "ca", "subjectAltName=DNS:other.example");
  made.certificate("plant-7", "ca", "extendedKeyUsage=clientAuth");
  made.certificate("foreign", "stranger", "extendedKeyUsage=clientAuth");
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(() => {
  for (const end of open.splice(0).reverse()) end();
});

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  open.push(() => server.close());
  return (server.address() as AddressInfo).port;
}

/** Echoes what comes through TLS. `requestCert`: it wants a certificate that the CA signed. */
function tlsServer(name: string, requestCert = false): Promise<number> {
  const server = createTlsServer(
    { cert: pem(`${name}.pem`), key: pem(`${name}.key`), ca: pem("ca.pem"), requestCert },
    (socket) => void socket.on("error", () => undefined).pipe(socket),
  );
  server.on("tlsClientError", () => undefined);
  return listening(server);
}

async function dialled(url: string, more: Partial<DialOptions> = {}): Promise<Line> {
  const options = {
    proxy: undefined,
    serverName: undefined,
    ca: pem("ca.pem"),
    certificate: undefined,
    key: undefined,
  };
  const line = await dialWithin(5000, { url, ...options, ...more }, new AbortController());
  open.push(() => line.stream.destroy());
  return line;
}

/** What a person is told of the failure. */
async function failure(url: string, more: Partial<DialOptions> = {}) {
  const error = await dialled(url, more).then(
    () => ({ code: "none" }),
    (cause: { code?: string }) => cause,
  );
  return { ...networkReason(error.code ?? ""), at: error.code };
}

async function echoed({ stream }: Line, text: string): Promise<string> {
  let said = "";
  stream.on("data", (bytes) => (said += bytes));
  stream.write(text);
  await becomes(() => said === text, 60_000);
  return said;
}

/** An HTTP proxy that knows CONNECT alone; `answer`: what it says instead of letting through. */
async function proxy(answer?: string) {
  const targets: string[] = [];
  const credentials: unknown[] = [];
  const server = createHttpServer();
  server.on("connect", (request, socket, head) => {
    targets.push(request.url ?? "");
    credentials.push(request.headers["proxy-authorization"]);
    if (answer !== undefined) return void socket.end(`HTTP/1.1 ${answer}\r\n\r\n`);
    const { hostname, port } = new URL(`http://${request.url}`);
    const onward = connect(Number(port), hostname, () => {
      socket.write("HTTP/1.1 200 Connection established\r\n\r\n");
      onward.write(head);
      onward.pipe(socket).pipe(onward);
    });
    for (const one of [onward, socket]) one.on("error", () => one.destroy());
    return undefined;
  });
  const port = await listening(server);
  return { url: `http://127.0.0.1:${port}`, port, targets, credentials };
}

describe("the way to a broker", () => {
  test("is TLS, checked against the CA and the name, and counts what the line carries", async () => {
    const port = await tlsServer("broker");
    for (const url of [`mqtts://127.0.0.1:${port}`, `mqtts://localhost:${port}`, `wss://localhost:${port}/mqtt`]) {
      const line = await dialled(url);
      expect(await echoed(line, "x".repeat(10_000))).toHaveLength(10_000);
      // The certificate alone has some hundred bytes, and TLS adds to each piece.
      expect(line.socket.bytesWritten).toBeGreaterThan(10_300);
      expect(line.socket.bytesRead).toBeGreaterThan(10_300);
    }
  });

  test("takes another name where one is given", async () => {
    const port = await tlsServer("broker");
    await dialled(`mqtts://127.0.0.1:${port}`, { serverName: "broker.fleet.example" });
    const wrong = await failure(`mqtts://127.0.0.1:${port}`, { serverName: "else.example" });
    expect(wrong.at).toBe("ERR_TLS_CERT_ALTNAME_INVALID");
  });

  test.each([
    ["expired", {}, "CERT_HAS_EXPIRED", "has expired"],
    ["early", {}, "CERT_NOT_YET_VALID", "not valid yet"],
    ["elsewhere", {}, "ERR_TLS_CERT_ALTNAME_INVALID", "another name"],
    ["broker", { ca: "stranger" }, undefined, "nobody known signed"],
  ])(
    "refuses a broker whose certificate is %s %j, and says why",
    async (name, { ca = "ca" }: { ca?: string }, code, words) => {
      const port = await tlsServer(name);
      const told = await failure(`mqtts://127.0.0.1:${port}`, { ca: pem(`${ca}.pem`) });
      if (code !== undefined) expect(told.at).toBe(code);
      expect(told.words).toContain(words);
      expect(told.advice).not.toBe("");
    },
  );

  test("says that a broker wants a certificate, once TLS is agreed", async () => {
    const port = await tlsServer("broker", true);
    // With TLS 1.3 the refusal comes after the client believes that all is well.
    const { stream } = await dialled(`mqtts://127.0.0.1:${port}`);
    let code = "";
    stream.on("error", (error: NodeJS.ErrnoException) => (code = error.code ?? ""));
    expect(await becomes(() => code !== "", 60_000)).toBe(true);
    expect(networkReason(code).words).toContain("wants a certificate");
  });

  test("shows the gateway's own certificate", async () => {
    const port = await tlsServer("broker", true);
    const line = await dialled(`mqtts://127.0.0.1:${port}`, {
      certificate: pem("plant-7.pem"),
      key: pem("plant-7.key"),
    });
    expect(await echoed(line, "hello")).toBe("hello");
  });

  test("says when key and certificate do not belong together, or the port speaks no TLS", async () => {
    const port = await tlsServer("broker", true);
    const mixed = { certificate: pem("plant-7.pem"), key: pem("foreign.key") };
    expect((await failure(`mqtts://127.0.0.1:${port}`, mixed)).words).toContain("key is not the certificate's");
    const plain = await listening(
      createServer((socket) => void socket.on("error", () => undefined).end("HTTP/1.1 400\r\n\r\n")),
    );
    expect((await failure(`mqtts://127.0.0.1:${plain}`)).name).toBe("tls");
  });

  test("does not leave this machine without TLS", async () => {
    expect((await failure("mqtt://192.0.2.1")).at).toBe("PLAIN");
    expect((await failure("mqtt://broker.example")).at).toBe("PLAIN");
    const port = await listening(createServer((socket) => void socket.on("error", () => undefined).pipe(socket)));
    for (const host of ["127.0.0.1", "localhost"])
      expect(await echoed(await dialled(`mqtt://${host}:${port}`), "hello")).toBe("hello");
  });

  test("says when nobody is there, or the name is unknown", async () => {
    expect((await failure("mqtts://127.0.0.1:1")).words).toContain("nothing listens");
    expect(["ENOTFOUND", "EAI_AGAIN"]).toContain((await failure("mqtts://broker.invalid")).at);
  });

  test("is given up after its time, also in the middle of TLS or of what a proxy says", async () => {
    const mute = await listening(createServer((socket) => void socket.on("error", () => undefined)));
    for (const [url, through] of [
      [`mqtts://127.0.0.1:${mute}`, undefined],
      ["mqtts://127.0.0.1:9", `http://127.0.0.1:${mute}`],
    ] as const) {
      const options = {
        url,
        proxy: through,
        serverName: undefined,
        ca: undefined,
        certificate: undefined,
        key: undefined,
      };
      await expect(dialWithin(100, options, new AbortController())).rejects.toMatchObject({ code: "ETIMEDOUT" });
    }
  });

  test("leads through a proxy, with its user and password, and never around it", async () => {
    const port = await tlsServer("broker");
    const { url, port: at, targets, credentials } = await proxy();
    for (const broker of [`mqtts://localhost:${port}`, `wss://localhost:${port}/mqtt`])
      expect(await echoed(await dialled(broker, { proxy: url }), "hello")).toBe("hello");
    await dialled(`mqtts://localhost:${port}`, { proxy: `http://u%40x:p%3A1@127.0.0.1:${at}` });
    expect(targets).toEqual(Array(3).fill(`localhost:${port}`));
    expect(credentials).toEqual([undefined, undefined, `Basic ${Buffer.from("u@x:p:1").toString("base64")}`]);
    const strict = await proxy("407 Proxy Authentication Required");
    const refused = dialled(`mqtts://localhost:${port}`, { proxy: strict.url });
    await expect(refused).rejects.toMatchObject({ code: "PROXY", message: expect.stringContaining("407") });
    const gone = dialled(`mqtts://localhost:${port}`, { proxy: "http://127.0.0.1:1" });
    await expect(gone).rejects.toMatchObject({ code: "PROXY", message: expect.stringContaining("ECONNREFUSED") });
  });
});
