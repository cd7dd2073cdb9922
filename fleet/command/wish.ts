import { modes } from "../../config/gateway.ts";
import { type CommandBody, LOG_LEVEL_MINUTES, logLevels } from "../../sync/command.ts";

/** What is asked, as the wire says it. */
export interface Wish {
  readonly verb: CommandBody["verb"];
  readonly arguments: CommandBody["arguments"];
}

interface Form {
  /** As --help shows it. */
  readonly usage: string;
  readonly words: number;
  /** The wish, or what is wrong with the words. */
  readonly make: (words: readonly string[], minutes: number | undefined) => Wish | string;
}

const SCOPE = /^(?:gateway|(?:agent|tool):.+)$/;
const WRONG_SCOPE = "SCOPE is gateway, agent:NAME or tool:NAME";
const LONGEST_WHY = 1000;
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

const forms: Readonly<Record<string, Form>> = {
  stop: {
    usage: 'stop "WHY"',
    words: 1,
    make: ([why = ""]) => {
      if (why.trim() === "") return "say why";
      return why.length > LONGEST_WHY
        ? `WHY has ${LONGEST_WHY} characters at most`
        : { verb: "stop", arguments: { why } };
    },
  },
  mode: {
    usage: `mode SCOPE ${modes.join("|")}`,
    words: 2,
    make: ([scope = "", mode = ""]) => {
      if (!SCOPE.test(scope)) return WRONG_SCOPE;
      const isMode = (modes as readonly string[]).includes(mode);
      return isMode ? { verb: "mode", arguments: { scope, mode } } : `MODE is one of ${modes.join(", ")}`;
    },
  },
  switch: {
    usage: "switch SCOPE on|off",
    words: 2,
    make: ([scope = "", to = ""]) => {
      if (!SCOPE.test(scope) || scope === "gateway") return "SCOPE is agent:NAME or tool:NAME";
      return ["on", "off"].includes(to) ? { verb: "switch", arguments: { scope, on: to === "on" } } : "say on or off";
    },
  },
  approve: { usage: "approve ID", words: 1, make: ([proposal = ""]) => answer("approve", proposal) },
  deny: { usage: "deny ID", words: 1, make: ([proposal = ""]) => answer("deny", proposal) },
  "log-level": {
    usage: `log-level ${logLevels.join("|")}`,
    words: 1,
    make: ([level = ""], minutes = LOG_LEVEL_MINUTES) =>
      (logLevels as readonly string[]).includes(level)
        ? { verb: "logLevel", arguments: { level, minutes } }
        : `LEVEL is one of ${logLevels.join(", ")}`,
  },
  "support-bundle": { usage: "support-bundle", words: 0, make: () => ({ verb: "supportBundle", arguments: {} }) },
};

export const usages: readonly string[] = Object.values(forms).map(({ usage }) => usage);

/** Takes a person's words for a command; a text says what is wrong with them. */
export function wishOf(what: string, words: readonly string[], minutes?: number): Wish | string {
  const form = Object.hasOwn(forms, what) ? forms[what] : undefined;
  if (form === undefined) return `there is no "${what}"; there is ${usages.join(", ")}`;
  if (words.length !== form.words) return `it is: ${form.usage}`;
  if (minutes !== undefined && what !== "log-level") return "--minutes is for log-level";
  const made = form.make(words, minutes);
  return typeof made === "string" ? `${made}; it is: ${form.usage}` : made;
}

function answer(verb: "approve" | "deny", proposal: string): Wish | string {
  return UUID.test(proposal) ? { verb, arguments: { proposal } } : "ID is the action's, as its record has it";
}
