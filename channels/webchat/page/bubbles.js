// Lines of a conversation as elements, in the order in which they were said.
import { language, words } from './words.js';

const LINK = /https?:\/\/[^\s<>"'，。！？；、）】」]+/g;
const TALLEST = 340;
const clock = new Intl.DateTimeFormat(language, { hour: '2-digit', minute: '2-digit', hour12: false });
const date = new Intl.DateTimeFormat(language, { month: 'long', day: 'numeric', weekday: 'short' });
const full = new Intl.DateTimeFormat(language, { dateStyle: 'full', timeStyle: 'short' });

export function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

export function bubble(line, { label, onPress }) {
  const item = make('li', `line ${line.by}`);
  const body = make('div', 'bubble');
  body.dir = 'auto';
  body.append(make('span', 'unseen', `${words[line.by]}: `));
  if (line.image) body.append(picture(line.image));
  body.append(...linked(label ?? line.text));
  if (line.href) body.append(anchor(line.href, words.open, 'href'));
  item.append(body);
  if (line.buttons?.length) item.append(buttons(line.buttons, onPress));
  const meta = make('div', 'meta');
  const time = make('time', '', clock.format(new Date(line.at)));
  time.dateTime = line.at;
  time.title = full.format(new Date(line.at));
  meta.append(time);
  item.append(meta);
  return item;
}

export function dayOf(at) {
  const day = new Date(at);
  const ago = Math.round((new Date().setHours(0, 0, 0, 0) - new Date(at).setHours(0, 0, 0, 0)) / 864e5);
  return ago === 0 ? words.today : ago === 1 ? words.yesterday : date.format(day);
}

function buttons(all, onPress) {
  const row = make('div', 'buttons');
  for (const { label, reply } of all) {
    const button = make('button', '', label);
    button.type = 'button';
    button.onclick = () => onPress(reply);
    row.append(button);
  }
  return row;
}

// Its size is known, so that nothing moves when it is there.
function picture({ src, width, height }) {
  const url = new URL(src, import.meta.url).href;
  const link = anchor(url, undefined, 'picture');
  const scale = Math.min(1, TALLEST / height);
  const image = new Image(Math.round(width * scale), Math.round(height * scale));
  image.alt = words.picture;
  image.decoding = 'async';
  image.onerror = () => link.remove();
  image.src = url;
  link.append(image);
  return link;
}

function linked(text) {
  const nodes = [];
  let end = 0;
  for (const match of text.matchAll(LINK)) {
    nodes.push(text.slice(end, match.index), anchor(match[0], match[0]));
    end = match.index + match[0].length;
  }
  nodes.push(text.slice(end));
  return nodes;
}

function anchor(href, text, className) {
  const element = make('a', className, text);
  if (/^https?:/i.test(href)) element.href = href;
  element.target = '_blank';
  element.rel = 'noopener noreferrer';
  return element;
}
