/** Whether lists and objects of a JSON text lie in each other more than so deep. A text of few brackets is done at once. */
export function isDeeper(text: string, most: number): boolean {
  if (opensIn(text, "[", most) + opensIn(text, "{", most) <= most) return false;
  let depth = 0;
  let isQuoted = false;
  for (let at = 0; at < text.length; at++) {
    const one = text[at];
    if (isQuoted) {
      if (one === "\\") at += 1;
      else if (one === '"') isQuoted = false;
    } else if (one === '"') isQuoted = true;
    else if (one === "[" || one === "{") {
      depth += 1;
      if (depth > most) return true;
    } else if (one === "]" || one === "}") depth -= 1;
  }
  return false;
}

/** How many there are, in strings or not; no more are counted than it takes. */
function opensIn(text: string, bracket: string, most: number): number {
  let count = 0;
  for (let at = text.indexOf(bracket); at >= 0 && count <= most; at = text.indexOf(bracket, at + 1)) count += 1;
  return count;
}
