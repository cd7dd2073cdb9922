/** Bytes in binary units, as memory and disks are set up with: "192 MiB", "1.5 GiB". */
export function mebibytes(bytes: number): string {
  const mib = bytes / 1_048_576;
  if (mib >= 1024) return `${Number((mib / 1024).toFixed(1))} GiB`;
  return `${mib >= 10 ? Math.floor(mib) : Number(mib.toFixed(1))} MiB`;
}

/** The first of many, and how many more. */
export function few(items: readonly string[], most = 3): string {
  const rest = items.length - most;
  return rest <= 0 ? items.join(", ") : `${items.slice(0, most).join(", ")} and ${rest} more`;
}
