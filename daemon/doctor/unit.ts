/** What systemd says of the service: properties as `systemctl show` prints them. */
export type Unit = Readonly<Record<string, string>>;

export const UNIT = "holdfast.service";

export const UNIT_PROPERTIES = [
  ...["LoadState", "LoadError", "UnitFileState", "ActiveState", "SubState", "Result", "ExecMainStatus", "MainPID"],
  ...["NRestarts", "WatchdogUSec", "MemoryMax", "MemoryHigh", "User", "NeedDaemonReload"],
  ...["DropInPaths", "FragmentPath", "StatusText"],
];

/** Lines `Name=value`; a name that comes again is one more line of its value. */
export function unitOf(text: string): Unit {
  const unit: Record<string, string> = {};
  for (const line of text.split("\n")) {
    const at = line.indexOf("=");
    if (at < 0) continue;
    const [name, value] = [line.slice(0, at), line.slice(at + 1)];
    unit[name] = unit[name] === undefined ? value : `${unit[name]}\n${value}`;
  }
  return unit;
}

/** Files of the unit: its own, then its drop-ins in the order in which they count. */
export function unitFiles(unit: Unit): readonly string[] {
  return [unit["FragmentPath"] ?? "", ...(unit["DropInPaths"] ?? "").split(" ")].filter((path) => path !== "");
}

/** Credentials that the texts of unit files load, name and file; systemctl shows none. Nothing after `=` takes all back. */
export function loadedCredentials(texts: readonly string[]): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const line of texts.join("\n").split("\n")) {
    const value = /^\s*LoadCredential\s*=\s*(.*?)\s*$/.exec(line)?.[1];
    if (value === undefined) continue;
    if (value === "") found.clear();
    const at = value.indexOf(":");
    if (at > 0) found.set(value.slice(0, at), value.slice(at + 1));
  }
  return found;
}
