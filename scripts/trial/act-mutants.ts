import { mutants } from "./act/mutants.ts";
import { mutantTrial } from "./mutants.ts";

const ROUNDS = 8;

/** The act path without one of its guards. */
export const trial = mutantTrial("act", mutants, ROUNDS);
