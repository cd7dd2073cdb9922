import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // Tests that load the inference library by themselves send nothing to its makers either: see models/host/session.ts.
    env: { ORT_DISABLE_TELEMETRY: "1" },
    pool: "forks",
    maxWorkers: 2,
    // Ends what hangs; how fast something is, no test says by it.
    testTimeout: 180_000,
    hookTimeout: 180_000,
    reporters: process.env.CI ? ["default", ["json", { outputFile: "coverage/report.json" }]] : ["default"],
  },
});
