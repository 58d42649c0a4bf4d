import { formatSize } from '../size.ts';
import type { Curve, Point } from './curves.ts';

const PANEL = { width: 420, height: 260, left: 60, top: 70, gap: 70, below: 60 };
/** Told apart also by those who see few colours (after Okabe and Ito). */
const COLOURS = [
  '#0072b2',
  '#d55e00',
  '#009e73',
  '#cc79a7',
  '#e69f00',
  '#56b4e9',
  '#8a8a00',
  '#777',
];

const STYLE = `
  svg { background: #fff; font: 13px system-ui, sans-serif; }
  text { fill: #333; } .title { font-size: 15px; font-weight: 600; } .tick { font-size: 11px; }
  .grid { stroke: #ddd; } .curve { fill: none; stroke-width: 2.5; stroke-linejoin: round; }
  @media (prefers-color-scheme: dark) {
    svg { background: #161b22; } text { fill: #ddd; } .grid { stroke: #333b45; }
  }`;

const MEASURES = [
  { name: 'Objects', of: (point: Point) => point.objects },
  { name: 'Bytes', of: (point: Point) => point.bytes },
] as const;

/** The curves as a picture for light and dark pages: a row for each tier, objects and bytes side by side. */
export function curvesSvg(curves: readonly Curve[]): string {
  const tiers = (['memory', 'disk'] as const).filter((tier) => curves.some((c) => c.tier === tier));
  const policies = [...new Set(curves.map((curve) => curve.policy))];
  const rowHeight = PANEL.height + PANEL.top + PANEL.below;
  const width = 2 * (PANEL.width + PANEL.left) + PANEL.gap;
  const panels = tiers.flatMap((tier, row) =>
    MEASURES.map((measure, column) => {
      const x = PANEL.left + column * (PANEL.width + PANEL.gap + PANEL.left / 2);
      const shown = curves.filter((curve) => curve.tier === tier);
      const title = `${measure.name} answered from cache, by size of ${tier === 'disk' ? 'the disk behind memory' : 'memory'}`;
      return `<g transform="translate(${x} ${row * rowHeight + PANEL.top})">${panel(title, shown, policies, measure.of)}</g>`;
    }),
  );
  const legend = policies.map((policy, i) => {
    const x = PANEL.left + i * 110;
    return `<rect x="${x}" y="16" width="14" height="4" fill="${colour(i)}"/><text x="${x + 20}" y="22">${policy}</text>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${tiers.length * rowHeight}" role="img">
<title>Hit ratios</title><style>${STYLE}</style>
${[...legend, ...panels].join('\n')}
</svg>
`;
}

function panel(
  title: string,
  curves: readonly Curve[],
  policies: readonly string[],
  measure: (point: Point) => number,
): string {
  const points = curves[0]?.points ?? [];
  const x = (i: number): string => ((i / Math.max(1, points.length - 1)) * PANEL.width).toFixed(1);
  const rows = [0, 0.25, 0.5, 0.75, 1].map(
    (ratio) =>
      `<line class="grid" x2="${PANEL.width}" y1="${y(ratio)}" y2="${y(ratio)}"/><text class="tick" x="-8" y="${y(ratio)}" dy="4" text-anchor="end">${100 * ratio} %</text>`,
  );
  const columns = points.map(
    ({ budgetBytes }, i) =>
      `<text class="tick" x="${x(i)}" y="${PANEL.height + 20}" text-anchor="middle">${formatSize(budgetBytes)}</text>`,
  );
  const lines = curves.map(({ policy, points: own }) => {
    const path = own.map((point, i) => `${x(i)},${y(measure(point))}`).join(' ');
    return `<polyline class="curve" stroke="${colour(policies.indexOf(policy))}" points="${path}"/>`;
  });
  return [`<text class="title" y="-16">${title}</text>`, ...rows, ...columns, ...lines].join('\n');
}

const colour = (i: number): string => COLOURS[i % COLOURS.length] ?? '';

const y = (ratio: number): string => ((1 - ratio) * PANEL.height).toFixed(1);
