import { answerVerb } from "./answer.ts";

export const verb = answerVerb("approve", "say yes to an action that waits; for approvers, never to one's own");
