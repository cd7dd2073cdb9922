/** What the kernel has counted for one process, since its start. */
export interface ProcessCounters {
  readonly pid: number;
  readonly parent: number;
  readonly command: string;
  /** User and system time, in clock ticks. */
  readonly ticks: number;
  /** The same of its children that ended. */
  readonly endedTicks: number;
  /** Bytes that it made dirty in files: what is written again before it reached the disk counts once each time. */
  readonly writeBytes: number;
  readonly pssBytes: number;
  /** How often its threads waited for something. */
  readonly waits: number;
}

/** Clock ticks a second (sysconf(3), _SC_CLK_TCK): 100 on each architecture that Linux gives to users. */
export const TICKS = 100;
export const HEAD = "== ";

/** Prints for each process of its arguments what `parseProcesses` reads. */
export const SHOW_PROCESSES = `for pid in "$@"; do
  echo "${HEAD}$pid $(tr '\\0' ' ' < /proc/$pid/cmdline)"
  cat /proc/$pid/stat /proc/$pid/io; grep ^Pss: /proc/$pid/smaps_rollup
  cat /proc/$pid/task/*/status | grep ^voluntary_ctxt_switches
done`;

/** proc(5): stat has the parent as its 4th field, user and system time as the 14th to 17th, in all kernels. */
export function parseProcesses(text: string): ProcessCounters[] {
  return text
    .split(HEAD)
    .slice(1)
    .map((part) => {
      const [head = "", stat = "", ...rest] = part.split("\n");
      const lines = rest.join("\n");
      // The name in parentheses may have blanks in it.
      const fields = stat
        .slice(stat.lastIndexOf(")") + 2)
        .split(" ")
        .map(Number);
      const [user = 0, system = 0, endedUser = 0, endedSystem = 0] = fields.slice(11, 15);
      const waits = [...lines.matchAll(/^voluntary_ctxt_switches:\s*(\d+)$/gm)];
      return {
        pid: Number.parseInt(head, 10),
        parent: fields[1] ?? 0,
        command: head.slice(head.indexOf(" ") + 1).trim(),
        ticks: user + system,
        endedTicks: endedUser + endedSystem,
        writeBytes: Number(/^write_bytes: (\d+)$/m.exec(lines)?.[1] ?? 0),
        pssBytes: Number(/^Pss:\s*(\d+) kB$/m.exec(lines)?.[1] ?? 0) * 1024,
        waits: waits.reduce((sum, [, count]) => sum + Number(count), 0),
      };
    });
}

export interface DiskCounters {
  readonly writtenBytes: number;
  readonly writes: number;
  readonly flushes: number;
}

/** Documentation/block/stat.rst: sectors are of 512 bytes whatever the disk's are. */
export function parseDisk(stat: string): DiskCounters {
  const fields = stat.trim().split(/\s+/).map(Number);
  return { writes: fields[4] ?? 0, writtenBytes: (fields[6] ?? 0) * 512, flushes: fields[15] ?? 0 };
}
