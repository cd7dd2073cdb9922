import type { GatewayConfig } from "../../../config/gateway.ts";
import type { ToolConfig } from "../../../config/tools.ts";
import type { Log } from "../../log.ts";
import type { Gate, Sent, Tool, ToolCall } from "../tool.ts";
import { fieldsOf, shownArgument, textOf } from "./message.ts";
import { refused, stopped } from "./one-try.ts";
import { callEndpoint, type WebDeps } from "./web.ts";

export type NotifyConfig = Extract<ToolConfig, { kind: "notify" }>;

export interface NotifyDeps extends WebDeps {
  readonly gateway: Pick<GatewayConfig, "people" | "endpoints" | "mail">;
  readonly deviceName: string;
  readonly log: Log;
  /** Lines as warnings of the journal; undefined where standard output does not lead there. */
  readonly journal?: Log | undefined;
}

const LONGEST_SUBJECT = 200;

type Send = Tool["send"];

/**
 * Words to people. Acknowledged: the line is written, the mail server took the mail on, or the endpoint answered with
 * 2xx. That somebody read it, nobody can say.
 */
export function createNotifyTool(config: NotifyConfig, deps: NotifyDeps): Tool {
  const ways: Record<NotifyConfig["via"], Send> = {
    log: async (call, gate, signal) => inLog(deps.log, config, call, gate, signal),
    journal: async (call, gate, signal) => inLog(deps.journal ?? deps.log, config, call, gate, signal),
    mail: (call, gate, signal) => byMail(config, deps, call, gate, signal),
    webhook: (call, gate, signal) => byWebhook(config, deps, call, gate, signal),
  };
  return { isCheap: config.via === "log" || config.via === "journal", send: ways[config.via] };
}

function inLog(log: Log, config: NotifyConfig, call: ToolCall, gate: Gate, signal: AbortSignal): Sent {
  if (signal.aborted || !gate()) return stopped;
  log.warn(fieldsOf(call, config.to), "notification");
  return { kind: "acknowledged" };
}

async function byMail(
  config: NotifyConfig,
  deps: NotifyDeps,
  call: ToolCall,
  gate: Gate,
  signal: AbortSignal,
): Promise<Sent> {
  const { mail, people } = deps.gateway;
  if (mail === undefined) return refused("the gateway's file names no mail server");
  const to = config.to.flatMap((name) => {
    const address = people[name]?.mail;
    return address === undefined ? [] : [{ name, address }];
  });
  if (to.length === 0) return refused("nobody to tell has a mail address");
  const subject = shownArgument(call, "subject") ?? `Holdfast ${deps.deviceName}: ${call.tool}`;
  const message = {
    to,
    subject: oneLine(subject),
    text: textOf(call),
    idempotencyKey: call.idempotencyKey,
  };
  // The library is loaded with the first mail: most gateways send none.
  const { sendMail } = await import("./mail.ts");
  return await sendMail(mail, message, deps, call.timeoutMs, gate, signal);
}

function byWebhook(
  config: NotifyConfig,
  deps: NotifyDeps,
  call: ToolCall,
  gate: Gate,
  signal: AbortSignal,
): Promise<Sent> {
  const endpoint = config.endpoint === undefined ? undefined : deps.gateway.endpoints[config.endpoint];
  if (endpoint === undefined) return Promise.resolve(refused("the endpoint is not named in the gateway's file"));
  const { agent, key, rule, tool, id } = call;
  const body = { device: deps.deviceName, text: textOf(call), to: config.to, agent, key, rule, tool, id };
  return callEndpoint(endpoint, { method: "POST", body }, call, deps, gate, signal);
}

/** A subject is one line: a second one would be a header of its own. */
function oneLine(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what has to go.
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, " ").slice(0, LONGEST_SUBJECT);
}
