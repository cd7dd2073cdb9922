import { describe } from "vitest";
import { postgresBinaries } from "../../scripts/trial/fleet/postgres.ts";

/** Left out where there is no PostgreSQL; in CI there is one, and the tests run. */
export const describeWithPostgres =
  postgresBinaries() === undefined && process.env["CI"] === undefined ? describe.skip : describe;
