const UNITS = ["B", "kB", "MB", "GB", "TB"] as const;

/** Columns that are as wide as they need to be; with a word for none. */
export function table(titles: readonly string[], rows: readonly (readonly string[])[], none: string): string {
  if (rows.length === 0) return `${none}\n`;
  const widths = titles.map((title, at) => Math.max(title.length, ...rows.map((row) => row[at]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join("  ")
      .trimEnd();
  return `${[titles, ...rows].map(line).join("\n")}\n`;
}

/** Bytes in decimal units: "512 B", "1.4 MB". */
export function bytes(count: number): string {
  let size = count;
  let unit = 0;
  while (size >= 1000 && unit < UNITS.length - 1) {
    size /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? Math.round(size) : size.toPrecision(3).replace(/\.?0+$/, "")} ${UNITS[unit]}`;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what a terminal would obey.
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g;

/** What others wrote, for a terminal: without what it would obey, and not too long. */
export function safe(text: string, most = 80): string {
  const clean = text.replace(CONTROL, "�");
  return clean.length > most ? `${clean.slice(0, most - 1)}…` : clean;
}

/** A field of CSV (RFC 4180). */
export function csv(value: unknown): string {
  const text = value === null || value === undefined ? "" : typeof value === "string" ? value : JSON.stringify(value);
  // A spreadsheet takes these for formulas.
  const plain = /^[=+\-@\t\r]/.test(text) && typeof value === "string" ? `'${text}` : text;
  return /[",\r\n]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain;
}
