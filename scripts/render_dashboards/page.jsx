// Draws one dashboard as Grafana does, from window.DASHBOARD: its JSON with results in the targets.

import './icons';
import { createTheme, dateTime, getFieldDisplayValues, renderMarkdown } from '@grafana/data';
import {
  BarGauge,
  BigValue,
  PanelChrome,
  Table,
  ThemeContext,
  TimeSeries,
  VizRepeater,
} from '@grafana/ui';
import { createRoot } from 'react-dom/client';

import { dataOf, register } from './fields';
import { Heatmap } from './heatmap';
import uplot from './node_modules/uplot/dist/uPlot.min.css';

const CELL = 30;
const GAP = 8;

const board = window.DASHBOARD;
const theme = createTheme({ colors: { mode: board.mode } });
const range = {
  from: dateTime(board.from * 1000),
  to: dateTime(board.to * 1000),
  raw: { from: 'now-1h', to: 'now' },
};

const nothing = (panel) => (
  <div style={{ display: 'grid', placeItems: 'center', height: '100%', opacity: 0.6 }}>
    {panel.fieldConfig?.defaults?.noValue ?? 'No data'}
  </div>
);

function values(panel, data) {
  return getFieldDisplayValues({
    data,
    fieldConfig: panel.fieldConfig,
    reduceOptions: panel.options.reduceOptions,
    replaceVariables: (text) => text,
    theme,
    timeZone: 'utc',
  });
}

const KINDS = {
  stat: ({ panel, data, width, height }) => (
    <VizRepeater
      getValues={() => values(panel, data)}
      height={height}
      width={width}
      source={data}
      renderCounter={1}
      orientation="auto"
      renderValue={({ value, width, height, count }) => (
        <BigValue
          value={value.display}
          count={count}
          height={height}
          width={width}
          colorMode={panel.options.colorMode}
          graphMode="none"
          justifyMode={panel.options.justifyMode}
          textMode={panel.options.textMode}
          theme={theme}
        />
      )}
    />
  ),
  bargauge: ({ panel, data, width, height }) => (
    <VizRepeater
      getValues={() => values(panel, data)}
      height={height}
      width={width}
      source={data}
      renderCounter={1}
      orientation="horizontal"
      itemSpacing={8}
      minVizHeight={panel.options.minVizHeight}
      maxVizHeight={panel.options.maxVizHeight}
      getAlignmentFactors={(all) => ({
        title: all.map((v) => v.display.title ?? '').sort((a, b) => b.length - a.length)[0],
        text: all.map((v) => v.display.text).sort((a, b) => b.length - a.length)[0],
      })}
      renderValue={({ value, width, height, alignmentFactors }) => (
        <BarGauge
          value={value.display}
          field={value.field}
          display={value.view?.getFieldDisplayProcessor(value.colIndex)}
          width={width}
          height={height}
          orientation="horizontal"
          theme={theme}
          itemSpacing={8}
          alignmentFactors={alignmentFactors}
          displayMode={panel.options.displayMode}
          showUnfilled={panel.options.showUnfilled}
          valueDisplayMode={panel.options.valueMode}
          namePlacement={panel.options.namePlacement}
        />
      )}
    />
  ),
  timeseries: ({ panel, data, width, height }) => (
    <TimeSeries
      frames={data}
      structureRev={1}
      timeRange={range}
      timeZone="browser"
      width={width}
      height={height}
      legend={panel.options.legend}
      options={panel.options}
      theme={theme}
    />
  ),
  table: ({ panel, data, width, height }) => (
    <Table
      data={data[0]}
      width={width}
      height={height}
      cellHeight={panel.options.cellHeight}
      initialSortBy={panel.options.sortBy}
      showTypeIcons={false}
    />
  ),
  heatmap: ({ panel, data, width, height }) => (
    <Heatmap panel={panel} data={data} width={width} height={height} theme={theme} range={board} />
  ),
  text: ({ panel }) => (
    <div
      className="markdown"
      dangerouslySetInnerHTML={{ __html: renderMarkdown(panel.options.content) }}
    />
  ),
};

function Panel({ panel, data, box }) {
  const Kind = KINDS[panel.type];
  return (
    <PanelChrome
      title={panel.title}
      description={panel.description}
      width={box.width}
      height={box.height}
    >
      {(width, height) =>
        panel.type !== 'text' && panel.type !== 'stat' && !data.some((frame) => frame.length) ? (
          nothing(panel)
        ) : (
          <Kind panel={panel} data={data} width={width} height={height} />
        )
      }
    </PanelChrome>
  );
}

function Dashboard({ panels }) {
  const unit = (board.width - 2 * GAP - 23 * GAP) / 24;
  const place = ({ x, y, w, h }) => ({
    left: GAP + x * (unit + GAP),
    top: 96 + y * (CELL + GAP),
    width: w * unit + (w - 1) * GAP,
    height: h * CELL + (h - 1) * GAP,
  });
  return (
    <ThemeContext.Provider value={theme}>
      <header>
        <h1>{board.title}</h1>
        <nav>
          {board.choices.map(([label, value]) => (
            <span key={label}>
              <b>{label}</b>
              <i>{value}</i>
            </span>
          ))}
        </nav>
      </header>
      {panels.map(({ panel, data }) => {
        const box = place(panel.gridPos);
        return (
          <div key={panel.id} style={{ position: 'absolute', ...box }}>
            {panel.type === 'row' ? (
              <h2>⌄ {panel.title}</h2>
            ) : (
              <Panel panel={panel} data={data} box={box} />
            )}
          </div>
        );
      })}
    </ThemeContext.Provider>
  );
}

function dress() {
  const { colors, typography } = theme;
  const style = document.createElement('style');
  style.textContent = `${uplot}
    * { box-sizing: border-box }
    body { margin: 0; background: ${colors.background.canvas}; color: ${colors.text.primary};
           font: 14px/1.5 Inter, ${typography.fontFamily}; position: relative }
    header { position: absolute; left: 8px; right: 8px; top: 0 }
    header h1 { font-size: 18px; font-weight: 500; margin: 12px 4px 10px }
    nav { display: flex; gap: 8px }
    nav span { display: inline-flex; font-size: 12px; line-height: 28px }
    nav b { background: ${colors.background.secondary}; border: 1px solid ${colors.border.weak};
            padding: 0 8px; font-weight: 500 }
    nav i { background: ${colors.background.primary}; border: 1px solid ${colors.border.medium};
            border-left: 0; padding: 0 10px; font-style: normal }
    h2 { font-size: 16px; font-weight: 500; margin: 0; line-height: 30px }
    a { color: ${colors.text.link}; text-decoration: none }
    button { background: none; border: 0; color: inherit; font: inherit; padding: 0 }
    table { border-spacing: 0 }
    .markdown { padding: 4px 8px; overflow: hidden } .markdown p, .markdown ul { margin: 0 0 8px }
    .markdown ul { padding-left: 18px }
    h6 { margin: 0 }`;
  document.head.append(style);
}

async function main() {
  register();
  dress();
  const flat = board.panels;
  const panels = await Promise.all(
    flat.map(async (panel) => ({ panel, data: await dataOf(panel, theme) }))
  );
  createRoot(document.getElementById('root')).render(<Dashboard panels={panels} />);
}

main();
