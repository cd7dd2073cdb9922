import { execFileSync } from "node:child_process";

/** Runs a program and gives what it printed. What it had to say goes along with the error when it fails. */
export function run(
  program: string,
  args: readonly string[],
  options: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv } = {},
): string {
  try {
    return execFileSync(program, [...args], {
      ...options,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
      maxBuffer: 1 << 28,
    });
  } catch (cause) {
    const { stdout = "", stderr = "", code } = cause as { stdout?: string; stderr?: string; code?: string };
    const why =
      code === "ENOENT" ? "it is not installed" : `${stdout}${stderr}`.trim().split("\n").slice(-25).join("\n");
    throw new Error(`${program} ${args.join(" ")}\n${why}`, { cause });
  }
}
