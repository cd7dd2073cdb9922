import type { Command } from "commander";
import type { ModesView } from "../api/act-verbs.ts";
import { EXIT_DONE } from "../errors.ts";
import { askAsPerson, type PersonOptions, personOptions } from "./ask.ts";
import type { Io, RunVerb } from "./io.ts";

/** Adds `on NAME` and `off NAME` to the verb of agents or of tools. */
export function addSwitches(parent: Command, kind: "agent" | "tool", run: RunVerb, io: Io): void {
  for (const to of ["on", "off"] as const) {
    personOptions(
      parent
        .command(`${to} <name>`)
        .description(
          to === "on"
            ? `let this ${kind} act again, as far as its mode allows; for operators`
            : `let this ${kind} do nothing; deciding and recording go on`,
        ),
    )
      .addHelpText("after", `\nExample:\n  holdfast ${kind}s ${to} ${kind === "agent" ? "pump-guard" : "stop-pump"}`)
      .action((name: string, options: PersonOptions) => run(() => turn(`${kind}:${name}`, to, options, io)));
  }
}

async function turn(scope: string, to: "on" | "off", options: PersonOptions, io: Io): Promise<number> {
  const view = (await askAsPerson(options, io, "switch", { scope, on: to === "on" })) as ModesView;
  const [kind, name] = scope.split(":", 2);
  const one = (kind === "agent" ? view.agents : view.tools).find((each) => each.name === name);
  io.out(
    options.json === true
      ? `${JSON.stringify(one)}\n`
      : `${kind} ${name} is ${to}${to === "on" ? `, mode ${one?.effective}` : ""}\n`,
  );
  return EXIT_DONE;
}
