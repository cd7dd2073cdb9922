import Module from "node:module";

export interface Statement {
  pluck(): Statement;
  get(): unknown;
}

/** What the hooks use of better-sqlite3's class. */
export interface Database {
  readonly name: string;
  prepare(sql: string): Statement;
  exec(sql: string): Database;
  close(): Database;
}

type Load = (this: unknown, request: string, ...rest: unknown[]) => unknown;

/** Calls back with the prototype of better-sqlite3's databases when this thread loads it; never loads it itself. */
export function onDatabase(callback: (prototype: Database) => void): void {
  const loader = Module as unknown as { _load: Load };
  const load = loader._load;
  let isFound = false;
  loader._load = function (request, ...rest) {
    const loaded = load.call(this, request, ...rest);
    if (!isFound && /better-sqlite3(\/lib\/index\.js)?$/.test(request)) {
      isFound = true;
      callback((loaded as { prototype: Database }).prototype);
    }
    return loaded;
  };
}
