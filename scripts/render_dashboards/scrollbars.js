// esbuild gives ES modules a CommonJS package as a whole, where Grafana expects its default export.
export { Scrollbars as default } from './node_modules/react-custom-scrollbars-2/lib/index.js';
