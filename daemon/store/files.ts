import { join } from "node:path";

/** What lies in the data directory. */
export interface StoreFiles {
  readonly directory: string;
  readonly records: string;
  readonly control: string;
  readonly controlCopy: string;
  readonly lock: string;
  readonly lockOwner: string;
  readonly position: string;
  /** There while the log has gone back to an older form and no start tells of it yet. */
  readonly wentBack: string;
  readonly ballast: string;
  readonly key: string;
  readonly publicKey: string;
}

export function storeFiles(directory: string): StoreFiles {
  return {
    directory,
    records: join(directory, "records.db"),
    control: join(directory, "control.db"),
    controlCopy: join(directory, "control.db.bak"),
    lock: join(directory, "lock.db"),
    lockOwner: join(directory, "lock.pid"),
    position: join(directory, "position.json"),
    wentBack: join(directory, "records.db.went-back"),
    ballast: join(directory, "ballast"),
    key: join(directory, "gateway.key"),
    publicKey: join(directory, "gateway.pub"),
  };
}
