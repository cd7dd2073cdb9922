import { createPrivateKey, sign } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Command } from "commander";
import { type Answer, approvalText } from "../../sync/approval-text.ts";
import type { ApprovalResult, OpenProposal } from "../api/actions.ts";
import { DaemonError, EXIT_DONE, EXIT_FAILED, EXIT_USAGE } from "../errors.ts";
import { askAsPerson, askDaemon, type PersonOptions, personOptions } from "./ask.ts";
import { safe } from "./format.ts";
import type { Io, RunVerb } from "./io.ts";

interface Options extends PersonOptions {
  readonly as?: string;
  readonly signature?: string;
  readonly key?: string;
  readonly printText?: boolean;
}

type Word = "approve" | "deny";
const DECISIONS = { approve: "approved", deny: "rejected" } as const;

/** The verb `approve` or `deny`: they differ in one word. */
export function answerVerb(word: Word, description: string) {
  return (io: Io) => (program: Command, run: RunVerb) =>
    void personOptions(
      program
        .command(`${word} <id>`)
        .description(description)
        .option("--as <name>", "with a signature: whose it is")
        .option("--signature <base64>", "an Ed25519 signature over what --print-text prints")
        .option("--key <file>", "sign with this Ed25519 key (PEM)")
        .option("--print-text", "print what is to be signed, without a line's end, and answer nothing"),
    )
      .addHelpText(
        "after",
        `
Examples:
  holdfast ${word} 01993a0e-5b1c-7a54-9d5e-0f3c2b1a4d5e
  holdfast ${word} 01993a0e-5b1c-7a54-9d5e-0f3c2b1a4d5e --as maria --key maria.pem

Exit status 1 when the answer does not count.`,
      )
      .action((id: string, options: Options) => run(() => answer(word, id, options, io)));
}

async function answer(word: Word, proposal: string, options: Options, io: Io): Promise<number> {
  const { as, key, printText } = options;
  if ((key !== undefined || printText === true || options.signature !== undefined) && as === undefined) {
    io.err("holdfast: a signature is somebody's: name them with --as\n");
    return EXIT_USAGE;
  }
  const isSigning = as !== undefined && (key !== undefined || printText === true);
  const text = isSigning ? await textToSign(word, proposal, as, options, io) : undefined;
  if (text !== undefined && printText === true) {
    io.out(text.toString());
    return EXIT_DONE;
  }
  const signature = text === undefined || key === undefined ? options.signature : signatureOf(text, key);
  const result = (await askAsPerson(options, io, word, { proposal, as, signature })) as ApprovalResult;
  io.out(options.json === true ? `${JSON.stringify(result)}\n` : `${words(word, result)}\n`);
  return result.accepted ? EXIT_DONE : EXIT_FAILED;
}

async function textToSign(word: Word, proposal: string, person: string, options: Options, io: Io): Promise<Buffer> {
  const open = (await askDaemon(options, io, "approvals")) as readonly OpenProposal[];
  const hash = open.find((one) => one.id === proposal)?.hash;
  if (hash === undefined) throw new DaemonError("NO_SUCH_PROPOSAL", { proposal });
  const given: Answer = { decision: DECISIONS[word], hash, person, proposal };
  return approvalText(given);
}

function signatureOf(text: Buffer, file: string): string {
  try {
    const key = createPrivateKey(readFileSync(file));
    if (key.asymmetricKeyType !== "ed25519") throw new TypeError(`it is a key for ${key.asymmetricKeyType}`);
    return sign(null, text, key).toString("base64");
  } catch (cause) {
    throw new DaemonError("INPUT_FILE", { file }, { cause, hint: "Give an Ed25519 key in PEM form." });
  }
}

function words(word: Word, { accepted, reason, state, given, needs }: ApprovalResult): string {
  if (!accepted) {
    const waits = state === "awaitingApproval" ? " The action still waits." : "";
    return `Your answer does not count: ${safe(reason ?? "")}.${waits}`;
  }
  if (word === "deny") return "Denied: it will not be done.";
  if (given < needs) return `Approved: ${given} of ${needs} people have said yes.`;
  const why = reason === undefined ? "" : ` (${safe(reason)})`;
  return state === "intended"
    ? `Approved: the action is intended${why}.`
    : `Approved, and yet it will not be done: the action is ${safe(state)}${why}.`;
}
