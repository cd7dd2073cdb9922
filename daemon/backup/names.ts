/** Both come into a backup as copies that SQLite made, never as the files that are being written. */
export const DATABASES = ["records.db", "control.db"] as const;

/** What makes the next start find that an older log was put back. */
export const WENT_BACK = "records.db.went-back";

const MODEL = /^models\/[0-9a-f]{64}\/[A-Za-z0-9][\w.-]*$/;
const FLEET = /^fleet\/(?:[\w.-]+\/)?[\w.-]+$/;
const LAST_GOOD = /^last-good\/(?:conf\.d\/)?[^/]+$/;
const PUBLIC_KEY = /^gateway\.pub(?:\.[\w.-]+)?$/;
const CONFIG = /^(?:conf\.d\/)?[^./][^/]*\.ya?ml$/;
const LINK_TARGET = /^[\w.-]+(?:\/[\w.-]+)?$/;

/** Whether a path in the data directory is one that a backup has, besides the databases. */
export function isKept(path: string): boolean {
  if (!isPlain(path)) return false;
  if (path === "position.json" || path === "gateway.key" || path === "latch") return true;
  return [MODEL, FLEET, LAST_GOOD, PUBLIC_KEY].some((pattern) => pattern.test(path));
}

/** Whether a path may stand in an archive: `data/…` or `config/…`, and only what a gateway puts there. */
export function isArchived(path: string): boolean {
  if (!isPlain(path)) return false;
  const [top = "", ...rest] = path.split("/");
  const below = rest.join("/");
  if (top === "config") return CONFIG.test(below);
  return top === "data" && (isKept(below) || (DATABASES as readonly string[]).includes(below));
}

/** Links are only between a gateway's certificates, and lead nowhere else. */
export function isArchivedLink(path: string, target: string): boolean {
  return isPlain(path) && /^data\/fleet\/[\w.-]+$/.test(path) && isPlain(target) && LINK_TARGET.test(target);
}

/** A private key, or what a key or a token lies beside. */
export function isSecret(path: string): boolean {
  return path === "gateway.key" || /^fleet\/(?:.*\.key$|next\/)/.test(path);
}

export function modeOf(path: string): number {
  if (isSecret(path)) return 0o600;
  return /\.(?:pub|pem)(?:\.[\w.-]+)?$/.test(path) ? 0o644 : 0o640;
}

/** Relative, with no step upwards, and without what a terminal or a shell would stumble over. */
function isPlain(path: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
  if (path.length > 250 || /[\u0000-\u001f\u007f\\]/.test(path)) return false;
  return path.split("/").every((part) => part !== "" && part !== "." && part !== "..");
}

const STATE = [
  ...["records.db", "control.db"].flatMap((name) => [`${name}-wal`, `${name}-shm`, `${name}-journal`, name]),
  ...["control.db.bak", "control.db.bak.tmp", "position.json", WENT_BACK],
];
const IDENTITY = /^(?:gateway\.(?:key|pub)(?:\..+)?|fleet)$/;
const OTHERS =
  /^(?:models|last-good(?:\.old|\.new)?|upgrade|ballast|reserve|bus-session\.json|(?:records|control)\.db\..+|before-restore-.+|position\.json\..+|who|restore\.new)$/;

/** The databases with what belongs to them; the journal goes before its file, so that none is taken for another's. */
export const stateNames: readonly string[] = STATE;

/** Copies of the log from before an upgrade: beside a log that was restored they would be taken for that one's past. */
export function isCopyOfLog(name: string): boolean {
  return /^(?:upgrade|(?:records|control)\.db\.older(?:-.+)?)$/.test(name);
}

export function isIdentity(name: string): boolean {
  return IDENTITY.test(name);
}

/** Whether Holdfast made it: what else lies in a data directory is somebody's own, and stays. The latch stays too. */
export function isOurs(name: string): boolean {
  return STATE.includes(name) || isIdentity(name) || OTHERS.test(name);
}
