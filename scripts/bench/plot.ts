export interface Panel {
  readonly title: string;
  readonly minutes: readonly number[];
  readonly lines: readonly { readonly label: string; readonly values: readonly number[] }[];
}

const WIDTH = 760;
const HEIGHT = 150;
const LEFT = 52;
const RIGHT = 70;
const TOP = 30;
const BOTTOM = 26;
const COLOURS = ["#1b6ca8", "#c2571a"];

/** Small panels one below the other, each with an axis that begins at zero, so that flat looks flat. */
export function plotText(panels: readonly Panel[]): string {
  const body = panels
    .map((panel, at) => `<g transform="translate(0 ${at * HEIGHT})">${panelText(panel)}</g>`)
    .join("\n");
  const height = panels.length * HEIGHT;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="11">
<rect width="${WIDTH}" height="${height}" fill="#fff"/>
${body}
</svg>
`;
}

function panelText({ title, minutes, lines }: Panel): string {
  const highest = niceAbove(Math.max(...lines.flatMap((line) => line.values.filter(Number.isFinite))));
  const last = Math.max(1, ...minutes);
  const x = (minute: number): number => LEFT + (minute / last) * (WIDTH - LEFT - RIGHT);
  const y = (value: number): number => HEIGHT - BOTTOM - (value / highest) * (HEIGHT - TOP - BOTTOM);
  const parts = [`<text x="${LEFT}" y="18" font-weight="bold">${title}</text>`];
  for (const share of [0, 0.5, 1]) {
    const level = y(highest * share).toFixed(1);
    parts.push(`<path d="M${LEFT} ${level}H${WIDTH - RIGHT}" stroke="#ddd"/>`);
    parts.push(
      `<text x="${LEFT - 6}" y="${level}" dy="4" text-anchor="end" fill="#555">${Number((highest * share).toPrecision(3))}</text>`,
    );
  }
  for (let minute = 0; minute <= last; minute += stepOf(last)) {
    parts.push(
      `<text x="${x(minute).toFixed(1)}" y="${HEIGHT - 10}" text-anchor="middle" fill="#555">${minute} min</text>`,
    );
  }
  lines.forEach(({ label, values }, at) => {
    const points = values
      .map((value, index) => `${x(minutes[index] as number).toFixed(1)},${y(value).toFixed(1)}`)
      .join(" ");
    parts.push(`<polyline points="${points}" fill="none" stroke="${COLOURS[at]}" stroke-width="1.5"/>`);
    parts.push(
      `<text x="${WIDTH - RIGHT + 6}" y="${y(values.at(-1) ?? 0).toFixed(1)}" dy="4" fill="${COLOURS[at]}">${label}</text>`,
    );
  });
  return parts.join("");
}

/** 1, 2 or 5 times a power of ten, not below the value. */
function niceAbove(value: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1e-3)));
  return power * ([1, 2, 2.5, 5, 10].find((step) => step * power >= value) ?? 10);
}

function stepOf(last: number): number {
  return [1, 2, 5, 10, 15, 30, 60].find((step) => last / step <= 10) ?? 120;
}
