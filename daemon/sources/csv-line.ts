/**
 * The cells of one row (RFC 4180), or undefined when the text is not one row. Quoted cells may have separators, doubled
 * quotes and line ends in them; a line end after the row is fine.
 */
export function csvCells(text: string, separator: string): string[] | undefined {
  const row = withoutLineEnd(text);
  if (!row.includes('"')) return row.includes("\n") || row.includes("\r") ? undefined : row.split(separator);
  const cells: string[] = [];
  let at = 0;
  for (;;) {
    const end = row[at] === '"' ? quotedEnd(row, at) : plainEnd(row, at, separator);
    if (end === undefined) return undefined;
    const cell = row.slice(at, end);
    cells.push(cell.startsWith('"') ? cell.slice(1, -1).replaceAll('""', '"') : cell);
    if (end === row.length) return cells;
    if (row[end] !== separator) return undefined;
    at = end + 1;
  }
}

function withoutLineEnd(text: string): string {
  if (text.endsWith("\r\n")) return text.slice(0, -2);
  return text.endsWith("\n") ? text.slice(0, -1) : text;
}

function plainEnd(row: string, start: number, separator: string): number | undefined {
  const found = row.indexOf(separator, start);
  const end = found === -1 ? row.length : found;
  const cell = row.slice(start, end);
  return /["\r\n]/.test(cell) ? undefined : end;
}

function quotedEnd(row: string, start: number): number | undefined {
  let at = start + 1;
  for (;;) {
    const quote = row.indexOf('"', at);
    if (quote === -1) return undefined;
    if (row[quote + 1] !== '"') return quote + 1;
    at = quote + 2;
  }
}
