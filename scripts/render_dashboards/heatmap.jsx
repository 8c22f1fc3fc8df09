// Grafana's heatmap is not among the components that it publishes: this draws one like it.

const ORANGES = ['#3a2a1c', '#6b3a12', '#a04b0c', '#d2691e', '#f58b3c', '#fdb06b', '#fdd5a8'];

export function Heatmap({ data, width, height, theme, range }) {
  const rows = data
    .map((frame) => ({ le: Number(frame.fields[1].labels.le), frame }))
    .filter((row) => !Number.isNaN(row.le))
    .sort((a, b) => a.le - b.le);
  const below = new Map();
  const cells = rows.map(({ le, frame }) => {
    const [times, counts] = frame.fields.map((field) => field.values);
    const own = times.map((time, i) => [time, Math.max(0, counts[i] - (below.get(time) ?? 0))]);
    times.forEach((time, i) => below.set(time, counts[i]));
    return { le, own };
  });
  const used = cells.filter(({ own }) => own.some(([, count]) => count > 1e-9));
  const first = cells.indexOf(used[0]);
  const last = cells.indexOf(used[used.length - 1]);
  const shown = cells.slice(Math.max(0, first - 1), last + 2);
  const most = Math.max(...shown.flatMap(({ own }) => own.map(([, count]) => count)), 1e-9);
  const left = 52;
  const plot = { width: width - left - 8, height: height - 26 };
  const line = plot.height / shown.length;
  const span = (range.to - range.from) * 1000;
  const x = (time) => left + ((time - range.from * 1000) / span) * plot.width;
  const step = (range.step * 1000 * plot.width) / span;
  const dark = theme.isDark ? ORANGES : [...ORANGES].reverse();
  const color = (count) => dark[Math.round(Math.sqrt(count / most) * (dark.length - 1))];
  const name = (le) =>
    le === Infinity ? '+Inf' : le >= 3600 ? `${le / 3600} h` : le >= 60 ? `${le / 60} min` : `${le} s`;
  const hour = (time) => new Date(time).toTimeString().slice(0, 5);
  const ticks = [0.1, 0.35, 0.6, 0.85].map((share) => range.from * 1000 + share * span);
  const text = { fill: theme.colors.text.secondary, fontSize: 12 };
  return (
    <svg width={width} height={height}>
      {shown.map(({ le, own }, i) => (
        <g key={le}>
          <text x={left - 8} y={plot.height - i * line - line / 2 + 4} textAnchor="end" {...text}>
            {name(le)}
          </text>
          {own
            .filter(([time, count]) => count > 1e-9 && x(time) - step >= left)
            .map(([time, count]) => (
              <rect
                key={time}
                x={x(time) - step}
                y={plot.height - (i + 1) * line}
                width={Math.max(1, step - 1)}
                height={line - 1}
                fill={color(count)}
              />
            ))}
        </g>
      ))}
      {ticks.map((time) => (
        <text key={time} x={x(time)} y={height - 6} textAnchor="middle" {...text}>
          {hour(time)}
        </text>
      ))}
    </svg>
  );
}
