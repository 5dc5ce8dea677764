// One wording on one phone, with what it takes and costs.
import { anchor, bubble, buttons, linked, make } from '../wall/phone.js';
import { words } from './words.js';

const COLUMNS = 16; // of a small phone's screen
const ROWS = 5;

export function cell(shown, currency) {
  const card = make('figure', `card ${shown.channel}`);
  const title = make('figcaption', 'channel', words[shown.channel] ?? shown.channel);
  card.append(title);
  if (shown.trouble) card.append(trouble(shown.trouble));
  else card.append(phones(shown), facts(shown, currency));
  return card;
}

function phones(shown) {
  const row = make('div', 'pair');
  row.append(smart(shown));
  if (shown.sms) row.append(small(shown.content));
  return row;
}

// A smartphone, as on the phone wall.
function smart({ channel, content, sms, picture }) {
  const line = { by: 'us', text: content.text ?? '', subject: content.subject ?? '', href: content.href ?? '' };
  if (picture) line.picture = picture.hash;
  const said = bubble(line, 'div', 'project');
  const text = said.querySelector('.words');
  text.replaceChildren(...(sms ? seams(sms.parts) : linked(line.text)));
  if (!line.text) text.remove();
  if (line.href) said.append(anchor(line.href, line.href, 'href'));
  const lines = make('div', 'lines');
  lines.append(said);
  if (content.buttons?.length) {
    const row = buttons(content.buttons, () => {});
    [...row.children].forEach((it, i) => (it.title = words.says(content.buttons[i].reply)));
    lines.append(row);
  }
  if (content.action) lines.append(make('p', 'action', words.action(content.action)));
  const screen = make('div', 'screen');
  const bar = make('div', 'bar');
  bar.append(make('span', 'name', words[channel] ?? channel));
  screen.append(bar, lines);
  const body = make('div', 'phone shown');
  body.append(make('div', 'ear'), screen);
  return body;
}

// Where one part of an SMS ends and the next begins.
function seams(parts) {
  const nodes = [];
  parts.forEach((part, i) => {
    if (i) {
      const seam = make('span', 'seam');
      seam.title = seam.ariaLabel = words.part(i + 1, parts.length);
      seam.dataset.part = i + 1;
      nodes.push(seam);
    }
    nodes.push(part);
  });
  return nodes;
}

// A phone of the first days: a few lines of sixteen letters, or half as many wide ones.
function small(content) {
  const all = content.text.split('\n').flatMap(rows);
  const body = make('div', 'phone old');
  const screen = make('div', 'screen');
  for (const row of all.slice(0, ROWS)) screen.append(make('span', 'row', row || ' '));
  const below = all.length - ROWS;
  screen.append(make('span', 'row more', below > 0 ? words.below(below) : ' '));
  const keys = make('div', 'keys');
  for (let i = 0; i < 12; i++) keys.append(make('i'));
  body.append(screen, keys);
  body.title = words.small;
  return body;
}

function rows(line) {
  const found = [];
  let row = '';
  let width = 0;
  for (const letter of line) {
    const takes = wide(letter) ? 2 : 1;
    if (width + takes > COLUMNS) {
      found.push(row);
      row = '';
      width = 0;
    }
    row += letter;
    width += takes;
  }
  return [...found, row];
}

const wide = (letter) => /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u.test(letter);

function facts({ sms, octets, messages, price, picture, content }, currency) {
  const list = make('ul', 'facts');
  const tell = (text, kind = '') => list.append(make('li', kind, text));
  if (sms) [sms.encoding, words.parts(sms.parts.length), words.left(sms.left)].forEach((it) => tell(it, 'tag'));
  if (octets) tell(words.octets(octets), 'tag');
  if (messages) tell(words.carried(messages), 'tag');
  if (price !== undefined && price !== null) tell(Number(price) ? `${price} ${currency}`.trim() : words.free, 'tag price');
  if (picture) {
    const name = content.image.split(' ')[0];
    tell(`${name} · ${picture.width}×${picture.height} · ${words.octets(picture.size)}`);
  }
  if (sms?.forced?.length) {
    tell(words.because(sms.forced.map((it) => visible(it.letter)).join(' '), sms.forced_count - sms.forced.length));
    if (sms.parts_without) {
      const swaps = sms.forced.filter((it) => it.instead !== null && it.instead !== undefined);
      tell(words.instead(swaps.map((it) => words.swap(it.instead, visible(it.letter))).join(', '), sms.parts_without, sms.parts.length), 'good');
    }
  }
  return list;
}

function visible(letter) {
  return /[\p{Z}\p{C}]/u.test(letter) ? `U+${letter.codePointAt(0).toString(16).toUpperCase().padStart(4, '0')}` : letter;
}

function trouble({ where, message, hint }) {
  const box = make('div', 'trouble');
  box.append(make('strong', '', words.not_sent), make('p', '', message));
  if (where) box.append(make('code', '', where));
  if (hint) box.append(make('p', 'hint', hint));
  return box;
}
