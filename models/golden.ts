import { z } from "zod";

/** Rows and the answers that the model gave to them where it was made; `golden.json` beside the model. */
export const goldenSchema = z.strictObject({
  inputs: z
    .array(z.array(z.union([z.number(), z.string(), z.boolean()])))
    .min(1)
    .max(1024),
  outputs: z
    .array(z.record(z.string(), z.union([z.number(), z.string(), z.boolean(), z.array(z.number())])))
    .min(1)
    .max(1024),
});

export type Golden = z.infer<typeof goldenSchema>;
