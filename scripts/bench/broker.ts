import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";

/** Enough that the broker's limit is not what is measured; `--in-flight 20` is mosquitto's own default. */
export const IN_FLIGHT = 1000;

export interface Broker {
  readonly port: number;
  readonly pid: number;
  stop(): Promise<void>;
  kill(): void;
}

/** Debian's mosquitto on a free port of loopback: nothing on disk, nothing dropped. */
export async function startBroker(folder: string, inFlight: number): Promise<Broker> {
  const port = await freePort();
  const file = join(folder, "mosquitto.conf");
  const lines = [
    `listener ${port} 127.0.0.1`,
    "allow_anonymous true",
    "persistence false",
    `max_inflight_messages ${inFlight}`,
    // 0 is no limit: a flood waits in the broker instead of being thrown away there.
    "max_queued_messages 0",
    "max_inflight_bytes 0",
    "max_queued_bytes 0",
    "set_tcp_nodelay true",
    "log_type error",
  ];
  writeFileSync(file, `${lines.join("\n")}\n`);
  const child = spawn("mosquitto", ["-c", file], {
    stdio: "ignore",
    env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` },
  });
  await listening(child, port);
  return {
    port,
    pid: child.pid as number,
    kill: () => void child.kill("SIGKILL"),
    stop: async () => {
      const gone = once(child, "exit");
      child.kill("SIGTERM");
      await gone;
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}

async function listening(child: ChildProcess, port: number): Promise<void> {
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, "0")} 00000000:0000 0A`;
  for (let attempt = 0; attempt < 500; attempt++) {
    if (readFileSync("/proc/net/tcp", "latin1").includes(wanted)) return;
    if (child.exitCode !== null || child.pid === undefined) break;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error("mosquitto did not start; is it installed?");
}
