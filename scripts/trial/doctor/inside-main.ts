import { inside } from "./inside.ts";

/** The trial within its own network: `inside-main OPTIONS`, and what it saw goes to the parent. */
const tell = process.send?.bind(process);
if (tell === undefined) throw new Error("the trial's process tells its parent what it saw");
process.on("disconnect", () => process.exit(1));
const result = await inside({ ...JSON.parse(process.argv[2] ?? "{}"), say: (said: string) => void tell({ said }) });
tell(result, () => process.exit(0));
