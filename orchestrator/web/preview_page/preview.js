// Messages and journeys as they are in the folder, drawn anew whenever it changes.
import { make } from '../wall/phone.js';
import { cell } from './cell.js';
import { language, words } from './words.js';

const at = (id) => document.getElementById(id);
const before = new Map(); // message → what was drawn last: its cells, and those of each locale
let index = { messages: [], journeys: [], findings: [] };
let drawing = 0;

document.documentElement.lang = language;
at('find').placeholder = at('find').ariaLabel = words.find;
at('state').textContent = words.connecting;
at('find').addEventListener('input', list);
addEventListener('popstate', () => show(true));
document.addEventListener('click', (event) => {
  const link = event.target.closest('a');
  const href = link?.getAttribute('href') ?? '';
  if (!href.startsWith('?') || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  history.pushState(null, '', href);
  show(true);
});

const changes = new EventSource('changes');
changes.onmessage = () => {
  at('state').textContent = words.up;
  refresh();
};
changes.onerror = () => (at('state').textContent = words.down);

async function refresh() {
  index = await ask('index');
  at('project').textContent = index.project;
  list();
  await show(false);
}

async function ask(path) {
  const answer = await fetch(path);
  return answer.json();
}

async function show(fresh) {
  const turn = ++drawing;
  const asked = new URLSearchParams(location.search);
  const message = asked.get('message');
  const journey = asked.get('journey');
  let nodes = [];
  if (message) nodes = ofMessage(message, await ask(`messages/${message.split('/').map(encodeURIComponent).join('/')}`));
  else if (journey) nodes = ofJourney(await ask(`journeys/${encodeURIComponent(journey)}`));
  else nodes = ofProject();
  if (turn !== drawing) return; // something newer is being drawn
  document.title = `${message ?? journey ?? index.project} · Outreach`;
  at('shown').replaceChildren(...nodes);
  if (fresh) at('shown').scrollIntoView({ block: 'start' });
  list();
}

function list() {
  const wanted = at('find').value.trim().toLowerCase();
  const asked = new URLSearchParams(location.search);
  const group = (kind, entries) => {
    const fitting = entries.filter((it) => `${it.name} ${it.summary ?? ''}`.toLowerCase().includes(wanted));
    const items = make('ul');
    for (const it of fitting) {
      const link = make('a', '', it.name);
      link.href = to(kind, it.name);
      if (asked.get(kind) === it.name) link.setAttribute('aria-current', 'page');
      if (it.summary) link.title = it.summary;
      const marks = make('span', 'marks');
      if (it.errors) marks.append(make('b', 'error', it.errors));
      if (it.warnings) marks.append(make('b', 'warning', it.warnings));
      const item = make('li');
      item.append(link, marks);
      items.append(item);
    }
    return [make('h2', '', kind === 'message' ? words.messages : words.journeys), items];
  };
  at('index').replaceChildren(...group('journey', index.journeys), ...group('message', index.messages));
}

function ofProject() {
  const errors = index.findings.filter((it) => it.severity === 'error').length;
  const said = index.findings.length ? words.wrong(errors, index.findings.length - errors) : words.right;
  return [make('p', 'quiet', words.choose), make('p', 'sum', said), findings(index.findings)];
}

function ofMessage(name, told) {
  const head = [make('h2', 'head', name)];
  if (!told.preview) return [...head, make('p', 'quiet', told.missing)];
  const { journeys = [], locales, channels, examples, shown, currency, findings: found } = told.preview;
  head.push(linksTo('journey', words.sent_by, journeys) ?? make('p', 'quiet', words.nowhere), findings(found));
  const known = before.get(name) ?? { cells: new Set(), locales: new Map() };
  const cells = new Set();
  const sections = locales.map((locale) => {
    const section = make('section', 'locale');
    section.append(make('h3', '', spoken(locale)));
    let theirs = shown.filter((it) => it.locale === locale);
    let names = examples[locale].map((it) => it.name);
    if (theirs.length) known.locales.set(locale, { theirs, names });
    else if (known.locales.has(locale)) {
      ({ theirs, names } = known.locales.get(locale));
      section.classList.add('stale');
      section.append(make('p', 'quiet', words.stale));
    }
    for (const example of names) {
      const row = make('div', 'row');
      for (const channel of channelsOf(channels, theirs)) {
        for (const it of theirs.filter((one) => one.example === example && one.channel === channel)) {
          const drawn = cell(it, currency);
          const mark = JSON.stringify(it);
          cells.add(mark);
          if (known.cells.size && !known.cells.has(mark)) drawn.classList.add('fresh');
          row.append(drawn);
        }
      }
      section.append(make('h4', '', words[example] ?? example), row);
    }
    return section;
  });
  before.set(name, { cells, locales: known.locales });
  return [...head, ...sections];
}

function channelsOf(channels, theirs) {
  return channels.length ? channels : [...new Set(theirs.map((it) => it.channel))];
}

function ofJourney({ name, picture, messages = [], findings: found = [] }) {
  const nodes = [make('h2', 'head', name)];
  const sent = linksTo('message', words.sends, messages);
  if (sent) nodes.push(sent);
  nodes.push(findings(found));
  if (!picture) return [...nodes, make('p', 'quiet', words.broken)];
  const frame = make('div', 'drawing');
  frame.append(document.importNode(new DOMParser().parseFromString(picture, 'image/svg+xml').documentElement, true));
  return [...nodes, frame];
}

const to = (kind, name) => `?${kind}=${encodeURIComponent(name).replaceAll('%2F', '/')}`;

function linksTo(kind, label, names) {
  if (!names.length) return null;
  const line = make('p', 'links', `${label} `);
  for (const name of names) {
    const link = make('a', '', name);
    link.href = to(kind, name);
    line.append(link, ' ');
  }
  return line;
}

function findings(all) {
  const box = make('ul', 'findings');
  for (const { mark, severity, message, hint, rule } of all) {
    const item = make('li', severity);
    item.append(make('code', '', `${mark.file}:${mark.line}:${mark.column}`), make('p', '', message));
    if (hint) item.append(make('p', 'hint', hint));
    item.title = rule;
    box.append(item);
  }
  box.hidden = !all.length;
  return box;
}

function spoken(locale) {
  if (!locale) return words.every;
  try {
    return `${new Intl.DisplayNames([language], { type: 'language' }).of(locale)} · ${locale}`;
  } catch {
    return locale;
  }
}
