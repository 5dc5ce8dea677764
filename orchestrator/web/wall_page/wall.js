// The wall: what the carrier's phones show, as it changes.
import { Large } from './large.js';
import { make, refresh, small } from './phone.js';
import { language, words } from './words.js';

const PAGE = 120; // phones drawn at a time
const SETTLE_MS = 1200; // between two changes of order
const FACTS = ['enrolled', 'messages', 'delivered', 'replies', 'opted_out', 'redeemed'];
const at = (id) => document.getElementById(id);
const number = new Intl.NumberFormat(language);
const date = new Intl.DateTimeFormat(language, { year: 'numeric', month: 'short', day: 'numeric', weekday: 'short' });
const time = new Intl.DateTimeFormat(language, { hour: '2-digit', minute: '2-digit', hour12: false });

const phones = new Map(); // number → what it shows
const cards = new Map(); // number → its element
const stale = new Set(); // numbers whose element is behind
let socket = null;
let tries = 0;
let total = 0;
let most = PAGE;
let filter = 'everyone';
let order = 'moving';
let found = null; // the numbers that a search gave, or null
let orderedAt = 0;
let looked = false;

const large = new Large(send);
document.documentElement.lang = language;
at('find').placeholder = at('find').ariaLabel = words.find;
build();
connect();

function connect() {
  at('state').textContent = words.connecting;
  const url = new URL('wall/socket', location.href);
  url.protocol = url.protocol.replace('http', 'ws');
  socket = new WebSocket(url);
  socket.onopen = () => {
    at('state').textContent = words.up;
    large.resume();
    if (at('find').value.trim()) search();
  };
  socket.onmessage = ({ data }) => {
    tries = 0;
    receive(JSON.parse(data));
  };
  socket.onclose = () => {
    at('state').textContent = words.down;
    setTimeout(connect, Math.min(8000, 300 * 2 ** tries++) * (0.5 + Math.random() / 2));
  };
}

function send(frame) {
  if (socket?.readyState !== WebSocket.OPEN) return false;
  socket.send(JSON.stringify(frame));
  return true;
}

function receive(frame) {
  total = frame.total;
  for (const phone of frame.phones ?? []) {
    phones.set(phone.number, phone);
    stale.add(phone.number);
  }
  if (frame.found) found = frame.found;
  if (frame.open) large.show(frame.open);
  show(frame);
  if (frame.phones?.length || frame.found || !looked) draw(Boolean(frame.found) || !looked);
  looked = true;
}

function show({ now, facts }) {
  at('date').textContent = date.format(new Date(now));
  at('time').textContent = time.format(new Date(now));
  at('time').dateTime = now;
  for (const name of FACTS) {
    const value = number.format(facts[name]);
    const element = at(`fact-${name}`);
    if (element.textContent !== value) element.textContent = value;
  }
}

const fits = {
  everyone: () => true,
  talking: (it) => it.said > 0,
  silent: (it) => it.said === 0,
  off: (it) => !it.on,
};

function chosen() {
  const some = found ? found.map((it) => phones.get(it)).filter(Boolean) : [...phones.values()];
  const fitting = some.filter(fits[filter]);
  const by = order === 'moving' ? (a, b) => b.rank - a.rank : (a, b) => (a.number < b.number ? -1 : 1);
  return fitting.sort(by);
}

// Which phones stand where changes at most once in a while; what they show changes at once.
let later = 0;
function draw(now = false) {
  const wait = orderedAt + SETTLE_MS - performance.now();
  if (now || wait <= 0) {
    clearTimeout(later);
    later = 0;
    orderedAt = performance.now();
    arrange();
  } else if (!later) {
    later = setTimeout(() => draw(true), wait);
  }
  for (const it of stale) {
    const card = cards.get(it);
    if (card) refresh(card, phones.get(it));
    if (card) stale.delete(it);
  }
}

function arrange() {
  const all = chosen();
  const shown = all.slice(0, most);
  const wanted = shown.map((phone) => {
    if (!cards.has(phone.number)) {
      const card = small(phone, (it) => large.open(it));
      cards.set(phone.number, card);
      refresh(card, phone);
      stale.delete(phone.number);
    }
    return cards.get(phone.number);
  });
  const grid = at('grid');
  const keep = new Set(wanted);
  for (const child of [...grid.children]) if (!keep.has(child)) child.remove();
  wanted.forEach((card, i) => grid.children[i] === card || grid.insertBefore(card, grid.children[i] ?? null));
  const every = found || filter !== 'everyone' ? all.length : total;
  at('count').textContent = words.count(every, total);
  at('more').hidden = all.length <= most;
  at('more').textContent = words.more(Math.min(PAGE, all.length - most));
  nothing(all.length === 0);
}

function nothing(empty) {
  at('none').hidden = !empty;
  at('none').firstElementChild.textContent = total ? words.none : words.empty;
  const typed = at('find').value.replace(/[\s-]/g, '');
  at('take').hidden = !/^\+?\d{5,15}$/.test(typed);
  at('take').textContent = words.take(typed);
}

function search() {
  const text = at('find').value.trim();
  most = PAGE;
  if (text) return send({ type: 'find', text });
  found = null;
  return draw(true);
}

function build() {
  for (const name of FACTS) {
    const tile = make('div', name);
    const value = make('dd', '', '0');
    value.id = `fact-${name}`;
    tile.append(make('dt', '', words[name]), value);
    at('facts').append(tile);
  }
  choices(['everyone', 'talking', 'silent', 'off'], () => filter, (it) => (filter = it));
  choices(['moving', 'fixed'], () => order, (it) => (order = it));
}

function choices(names, now, choose) {
  const row = make('div', 'choices');
  const buttons = names.map((name) => {
    const button = make('button', '', words[name]);
    button.type = 'button';
    button.onclick = () => {
      choose(name);
      most = PAGE;
      mark();
      draw(true);
    };
    return button;
  });
  const mark = () => buttons.forEach((it, i) => it.setAttribute('aria-pressed', names[i] === now()));
  mark();
  row.append(...buttons);
  at('filters').append(row);
}

let typing = 0;
at('find').addEventListener('input', () => {
  clearTimeout(typing);
  typing = setTimeout(search, 150);
});
at('take').addEventListener('click', () => {
  const taken = at('find').value.replace(/[\s+-]/g, '');
  send({ type: 'take', number: taken });
  at('find').value = '';
  search();
  large.open(taken);
});
at('more').addEventListener('click', () => {
  most += PAGE;
  draw(true);
});
