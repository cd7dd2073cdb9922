import type { Command } from "commander";
import type { Io } from "./io.ts";
import type { RunVerb } from "./program.ts";

export const verb = (_io: Io) => (_program: Command, _run: RunVerb) => undefined;
