import { readdirSync, readFileSync, readlinkSync } from "node:fs";

export interface PortOwner {
  readonly pid: number;
  readonly program: string;
}

const LISTENING = "0A";

/** The process that listens on a TCP port, where the kernel lets us see it: our own, or with root's eyes. */
export function portOwner(port: number, root = "/proc"): PortOwner | undefined {
  const inodes = new Set(["tcp", "tcp6"].flatMap((table) => listeningInodes(text(`${root}/net/${table}`), port)));
  if (inodes.size === 0) return undefined;
  for (const pid of list(root).filter((name) => /^\d+$/.test(name))) {
    if (!list(`${root}/${pid}/fd`).some((fd) => inodes.has(socketInode(`${root}/${pid}/fd/${fd}`)))) continue;
    return { pid: Number(pid), program: text(`${root}/${pid}/comm`).trim() };
  }
  return undefined;
}

/** Inodes of the sockets that listen on the port, from a table as in /proc/net/tcp. */
export function listeningInodes(table: string, port: number): string[] {
  const wanted = port.toString(16).toUpperCase().padStart(4, "0");
  return table.split("\n").flatMap((line) => {
    const [, local, , state, , , , , , inode] = line.trim().split(/\s+/);
    return state === LISTENING && local?.endsWith(`:${wanted}`) === true && inode !== undefined ? [inode] : [];
  });
}

function socketInode(link: string): string {
  try {
    return /^socket:\[(\d+)\]$/.exec(readlinkSync(link))?.[1] ?? "";
  } catch {
    // the process ended, or is not ours to look at
    return "";
  }
}

function text(file: string): string {
  try {
    return readFileSync(file, "latin1");
  } catch {
    return "";
  }
}

function list(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
