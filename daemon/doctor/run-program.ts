import { execFile } from "node:child_process";

export interface Said {
  /** Undefined: it could not be started, or was ended. */
  readonly code: number | undefined;
  readonly out: string;
  readonly err: string;
  readonly isLate: boolean;
}

/** Runs a program of the system and gives what it said; it is killed when it takes longer. Never rejects. */
export function runProgram(program: string, args: readonly string[], withinMs: number): Promise<Said> {
  return new Promise((resolve) => {
    const environment = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C", SYSTEMD_PAGER: "", SYSTEMD_COLORS: "0" };
    execFile(
      program,
      [...args],
      { encoding: "utf8", env: environment, timeout: withinMs, killSignal: "SIGKILL" },
      (error, out, err) => {
        const code = error === null ? 0 : typeof error.code === "number" ? error.code : undefined;
        resolve({ code, out, err, isLate: error?.killed === true });
      },
    );
  });
}
