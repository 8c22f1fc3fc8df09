// Field options and transformations: what Grafana registers when it starts.

import {
  FieldConfigOptionsRegistry,
  applyFieldOverrides,
  cacheFieldDisplayNames,
  displayNameOverrideProcessor,
  dataLinksOverrideProcessor,
  identityOverrideProcessor,
  numberOverrideProcessor,
  standardFieldConfigEditorRegistry,
  standardTransformers,
  standardTransformersRegistry,
  stringOverrideProcessor,
  thresholdsOverrideProcessor,
  toDataFrame,
  transformDataFrame,
  unitOverrideProcessor,
  valueMappingsOverrideProcessor,
} from '@grafana/data';
import { lastValueFrom } from 'rxjs';

const option = (id, process, extra = {}) => ({
  id,
  path: id,
  name: id,
  process,
  override: () => null,
  editor: () => null,
  shouldApply: () => true,
  settings: {},
  ...extra,
});

const STANDARD = [
  option('unit', unitOverrideProcessor),
  option('min', numberOverrideProcessor),
  option('max', numberOverrideProcessor),
  option('decimals', numberOverrideProcessor),
  option('displayName', displayNameOverrideProcessor),
  option('noValue', stringOverrideProcessor),
  option('color', identityOverrideProcessor),
  option('thresholds', thresholdsOverrideProcessor),
  option('mappings', valueMappingsOverrideProcessor),
  option('links', dataLinksOverrideProcessor),
];

// In Grafana each kind of panel registers its own options; these are all that the dashboards use.
const CUSTOM = [
  'axisBorderShow', 'axisPlacement', 'axisSoftMax', 'barAlignment', 'barWidthFactor',
  'cellOptions', 'drawStyle', 'fillOpacity', 'filterable', 'gradientMode', 'hidden', 'hideFrom',
  'lineStyle',
  'lineWidth', 'scaleDistribution', 'showPoints', 'stacking', 'thresholdsStyle', 'width',
].map((path) => option(`custom.${path}`, identityOverrideProcessor, { path, isCustom: true }));

const REGISTRY = new FieldConfigOptionsRegistry(() => [...STANDARD, ...CUSTOM]);

export function register() {
  standardFieldConfigEditorRegistry.setInit(() => STANDARD);
  const transformers = [
    standardTransformers.organizeFieldsTransformer,
    standardTransformers.mergeTransformer,
    standardTransformers.filterFieldsByNameTransformer,
  ];
  standardTransformersRegistry.setInit(() =>
    transformers.map((transformation) => ({
      id: transformation.id,
      name: transformation.name,
      transformation,
      editor: () => null,
    }))
  );
}

// Graphs have gaps where Prometheus says NaN.
function finite(text) {
  const value = Number(text);
  return Number.isFinite(value) ? value : null;
}

// What Grafana's Prometheus data source makes of an answer.
function frames(target, several) {
  const legend = (labels) =>
    target.legendFormat.replace(/\{\{\s*(\w+)\s*\}\}/g, (_, name) => labels[name] ?? '') || '{}';
  if (target.format === 'table') {
    const names = [...new Set(target.result.flatMap((row) => Object.keys(row.metric)))].sort();
    const last = (row) => row.value ?? row.values[row.values.length - 1];
    return [
      toDataFrame({
        refId: target.refId,
        fields: [
          { name: 'Time', type: 'time', values: target.result.map((row) => last(row)[0] * 1000) },
          ...names.map((name) => ({
            name,
            type: 'string',
            values: target.result.map((row) => row.metric[name] ?? ''),
          })),
          {
            name: several ? `Value #${target.refId}` : 'Value',
            type: 'number',
            values: target.result.map((row) => Number(last(row)[1])),
          },
        ],
      }),
    ];
  }
  return target.result.map((row) => {
    const points = row.values ?? [row.value];
    return toDataFrame({
      refId: target.refId,
      name: legend(row.metric),
      fields: [
        { name: 'Time', type: 'time', values: points.map((point) => point[0] * 1000) },
        {
          name: 'Value',
          type: 'number',
          labels: row.metric,
          config: { displayNameFromDS: legend(row.metric) },
          values: points.map((point) => finite(point[1])),
        },
      ],
    });
  });
}

export async function dataOf(panel, theme) {
  const targets = panel.targets ?? [];
  let data = targets.flatMap((target) => frames(target, targets.length > 1));
  if (panel.transformations?.length && data.length) {
    data = await lastValueFrom(transformDataFrame(panel.transformations, data));
  }
  const fields = applyFieldOverrides({
    data,
    fieldConfig: panel.fieldConfig ?? { defaults: {}, overrides: [] },
    fieldConfigRegistry: REGISTRY,
    replaceVariables: (text) => text,
    theme,
    timeZone: 'utc',
  });
  cacheFieldDisplayNames(fields); // colours follow names
  return fields;
}
