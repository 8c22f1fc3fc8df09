// Grafana fetches icons from its server. There is none here: the few that show come along.

import arrowDown from './node_modules/@grafana/ui/dist/public/img/icons/unicons/arrow-down.svg';
import arrowUp from './node_modules/@grafana/ui/dist/public/img/icons/unicons/arrow-up.svg';
import filter from './node_modules/@grafana/ui/dist/public/img/icons/unicons/filter.svg';
import infoCircle from './node_modules/@grafana/ui/dist/public/img/icons/unicons/info-circle.svg';

const ICONS = {
  'arrow-down': arrowDown,
  'arrow-up': arrowUp,
  filter,
  'info-circle': infoCircle,
};
const EMPTY = 'data:image/svg+xml,<svg xmlns="http://www.w3.org/2000/svg"></svg>';

window.fetch = async (url) => {
  const icon = ICONS[String(url).split('/').pop().replace('.svg', '')] ?? EMPTY;
  const svg = decodeURIComponent(icon.slice(icon.indexOf(',') + 1));
  return new Response(svg, { headers: { 'Content-Type': 'image/svg+xml' } });
};
