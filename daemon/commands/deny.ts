import { answerVerb } from "./answer.ts";

export const verb = answerVerb("deny", "say no to an action that waits; for approvers");
