// One telephone, small among others or large by itself.
import { language, words } from './words.js';

const clock = new Intl.DateTimeFormat(language, { hour: '2-digit', minute: '2-digit', hour12: false });
const day = new Intl.DateTimeFormat(language, { month: 'short', day: 'numeric', weekday: 'short' });
const LINK = /https?:\/\/[^\s<>"'，。！？；、）】」]+/g;

export function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

// 8613800138000 → +86 138 0013 8000; what is no number stays.
export function written(number) {
  if (/^86(1\d{10})$/.test(number)) return number.replace(/^86(\d{3})(\d{4})(\d{4})$/, '+86 $1 $2 $3');
  return /^\d{7,}$/.test(number) ? `+${number.replace(/(\d)(?=(\d{3})+$)/g, '$1 ')}` : number;
}

export function small(phone, onOpen) {
  const body = make('button', 'phone small');
  body.type = 'button';
  body.setAttribute('aria-label', words.open(written(phone.number)));
  body.onclick = () => onOpen(phone.number);
  const screen = make('span', 'screen');
  const bar = make('span', 'bar');
  bar.append(make('span', 'when'), make('span', 'name', written(phone.number)), make('span', 'said'));
  screen.append(bar, make('span', 'lines'));
  body.append(make('span', 'ear'), screen);
  return body;
}

export function refresh(body, phone) {
  const newest = phone.lines.at(-1)?.at ?? '';
  const rang = body.dataset.newest !== undefined && newest > body.dataset.newest;
  body.dataset.newest = newest;
  body.classList.toggle('off', !phone.on);
  body.querySelector('.when').textContent = newest && clock.format(new Date(newest));
  body.querySelector('.said').textContent = phone.said ? `↑${phone.said}` : '';
  const lines = phone.lines.map((line) => {
    const said = bubble(line, 'span', phone.number);
    if (line.href && line.text) said.append(make('span', 'href', words.link));
    return said;
  });
  const offered = phone.lines.at(-1)?.buttons ?? [];
  if (offered.length) {
    const row = make('span', 'offered');
    row.append(...offered.map(({ label }) => make('span', '', label)));
    lines.push(row);
  }
  if (!lines.length) lines.push(make('span', 'quiet', words.quiet));
  body.querySelector('.lines').replaceChildren(...lines);
  if (rang) {
    body.classList.remove('rings');
    requestAnimationFrame(() => body.classList.add('rings'));
  }
}

export function bubble(line, tag, number) {
  const element = make(tag, `bubble ${line.by} ${kind(line)}`);
  element.dir = 'auto';
  if (line.picture) element.append(picture(line, number));
  if (line.subject) element.append(make(tag, 'subject', line.subject));
  element.append(make(tag, 'words', line.text || line.href || ''));
  return element;
}

function kind(line) {
  if (line.picture || line.subject) return 'mms';
  return line.href ? 'push' : '';
}

function picture(line, number) {
  const element = make('img', 'picture');
  element.src = `wall/pictures/${encodeURIComponent(number)}/${line.picture}`;
  element.alt = line.subject || words.picture;
  return element;
}

// The lines of a large phone: days between them, links that open, what became of each.
export function conversation(phone, onPress) {
  const items = [];
  let today = '';
  for (const line of phone.lines) {
    const date = day.format(new Date(line.at));
    if (date !== today) items.push(make('li', 'day', (today = date)));
    const item = make('li', `line ${line.by}`);
    const said = bubble(line, 'div', phone.number);
    said.querySelector('.words').replaceChildren(...linked(line.text));
    if (line.href) said.append(anchor(line.href, words.link, 'href'));
    item.append(said);
    if (line.buttons?.length) item.append(buttons(line.buttons, onPress));
    item.append(meta(line));
    items.push(item);
  }
  if (!items.length) items.push(make('li', 'quiet', words.quiet));
  return items;
}

function meta(line) {
  const row = make('div', 'meta');
  const time = make('time', '', clock.format(new Date(line.at)));
  time.dateTime = line.at;
  row.append(time);
  if (line.by === 'us' && words[kind(line)]) row.append(` · ${words[kind(line)]}`);
  if (line.parts > 1) row.append(` · ${words.parts(line.parts)}`);
  if (line.by === 'you') {
    const tick = make('span', 'tick', line.acknowledged ? '✓✓' : '✓');
    tick.title = tick.ariaLabel = line.acknowledged ? words.arrived : words.sent;
    row.append(' ', tick);
  }
  return row;
}

export function buttons(all, onPress) {
  const row = make('div', 'buttons');
  for (const { label, reply } of all) {
    const button = make('button', '', label);
    button.type = 'button';
    button.onclick = () => onPress(reply);
    row.append(button);
  }
  return row;
}

export function linked(text) {
  const nodes = [];
  let end = 0;
  for (const match of text.matchAll(LINK)) {
    nodes.push(text.slice(end, match.index), anchor(match[0], match[0]));
    end = match.index + match[0].length;
  }
  nodes.push(text.slice(end));
  return nodes;
}

export function anchor(href, text, className) {
  const element = make('a', className, text);
  if (/^https?:/i.test(href)) element.href = href;
  element.title = href;
  element.target = '_blank';
  element.rel = 'noopener noreferrer';
  return element;
}
