/** What systemd says of the service: properties as `systemctl show` prints them. */
export type Unit = Readonly<Record<string, string>>;

export const UNIT = "holdfast.service";

export const UNIT_PROPERTIES = [
  ...["LoadState", "LoadError", "UnitFileState", "ActiveState", "SubState", "Result", "ExecMainStatus", "MainPID"],
  ...["NRestarts", "WatchdogUSec", "MemoryMax", "MemoryHigh", "User", "NeedDaemonReload", "LoadCredential"],
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

/** Credentials that the unit loads: name and file. */
export function loadedCredentials(unit: Unit | undefined): ReadonlyMap<string, string> {
  const lines = (unit?.["LoadCredential"] ?? "").split(/\n| (?=[^:\s]+:\/)/);
  const found = new Map<string, string>();
  for (const line of lines) {
    const at = line.indexOf(":");
    if (at > 0) found.set(line.slice(0, at), line.slice(at + 1));
  }
  return found;
}
