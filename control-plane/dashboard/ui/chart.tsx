import 'uplot/dist/uPlot.min.css';
import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import { useSignal } from '../signal.ts';
import { theme } from '../theme.ts';

export interface Line {
  readonly label: string;
  /** A custom property of the style sheet, such as `--good`. */
  readonly colour: string;
  readonly values: readonly (number | null)[];
  readonly filled?: boolean;
}

const HEIGHT = 180;

/** Lines over time. A screen reader is told the last values, and finds the figures in a table elsewhere. */
export function Chart({
  label,
  from,
  stepMs,
  lines,
  text,
}: {
  label: string;
  /** Where the first step begins, ms since the epoch. */
  from: number;
  stepMs: number;
  lines: readonly Line[];
  /** A value for people. */
  text: (value: number) => string;
}) {
  const box = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot | undefined>(undefined);
  const chosen = useSignal(theme);
  const shape = JSON.stringify([lines.map((line) => [line.label, line.colour]), chosen]);
  const times = lines[0]?.values.map((_, i) => (from + i * stepMs) / 1000) ?? [];
  const data = [times, ...lines.map(({ values }) => [...values])] as uPlot.AlignedData;
  useEffect(() => {
    const { current: element } = box;
    if (element === null) return undefined;
    const drawn = new uPlot(optionsOf(element, lines, text), data, element);
    chart.current = drawn;
    const resized = new ResizeObserver(() =>
      drawn.setSize({ width: element.clientWidth, height: HEIGHT }),
    );
    resized.observe(element);
    const system = matchMedia('(prefers-color-scheme: dark)');
    const redraw = (): void => drawn.redraw();
    system.addEventListener('change', redraw);
    return () => {
      system.removeEventListener('change', redraw);
      resized.disconnect();
      drawn.destroy();
    };
    // New values are put into the chart that there is, below.
  }, [shape]);
  useEffect(() => chart.current?.setData(data), [from, lines]);
  return (
    <figure class="chart">
      <figcaption>
        <h2>{label}</h2>
        <ul>
          {lines.map(({ label: name, colour, values }) => {
            const last = values.findLast((value) => value !== null);
            return (
              <li key={name}>
                <svg width="10" height="10" aria-hidden="true">
                  <circle cx="5" cy="5" r="4" fill={`var(${colour})`} />
                </svg>
                {name} {last === undefined || last === null ? '–' : text(last)}
              </li>
            );
          })}
        </ul>
      </figcaption>
      <div ref={box} aria-hidden="true" />
    </figure>
  );
}

function optionsOf(
  element: HTMLElement,
  lines: readonly Line[],
  text: (value: number) => string,
): uPlot.Options {
  const colour = (name: string): string => getComputedStyle(element).getPropertyValue(name).trim();
  const axis: uPlot.Axis = {
    stroke: () => colour('--soft'),
    grid: { stroke: () => colour('--line'), width: 1 },
    ticks: { show: false },
    font: '11px system-ui, sans-serif',
  };
  return {
    width: element.clientWidth,
    height: HEIGHT,
    legend: { show: false },
    cursor: { y: false, points: { show: false } },
    scales: { y: { range: (_, __, most) => [0, most > 0 ? most * 1.1 : 1] } },
    axes: [
      { ...axis, size: 26, values: (_, at) => at.map(clockText) },
      { ...axis, size: 64, values: (_, values) => values.map(text) },
    ],
    series: [
      {},
      ...lines.map(({ label, colour: name, filled = false }) => ({
        label,
        stroke: () => colour(name),
        width: 2,
        spanGaps: false,
        ...(filled && { fill: () => `${colour(name)}22` }),
      })),
    ],
  };
}

const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' });
const clockText = (seconds: number): string => clock.format(seconds * 1000);
