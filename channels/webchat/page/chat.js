// The chat page: what was said, what is being said, and what is new.
import { bubble, dayOf, make } from './bubbles.js';
import { Connection, Unsent } from './socket.js';
import { language, words } from './words.js';

const READ = 'outreach-chat-read';
const at = (id) => document.getElementById(id);
const [list, scroll, form, text, send] = ['lines', 'scroll', 'form', 'text', 'send'].map(at);

const lines = new Map(); // by:id → line, in the order of time
const labels = new Map(); // what a button says when pressed → what is written on it
const unsent = new Unsent();
const arrived = new Set();
let readUntil = localStorage.getItem(READ) ?? '';
let freshFrom = ''; // what came later than this is new to the person
let loaded = false;
let unread = 0;
let limit = 2000;

document.documentElement.lang = language;
document.title = words.title;
at('title').textContent = words.title;
at('label').textContent = words.label;
text.placeholder = words.label;
send.ariaLabel = send.title = words.send;
at('empty').textContent = words.empty;

const connection = new Connection({ onFrame, onState });

function onState(state) {
  at('status').dataset.state = state === 'full' ? 'down' : state;
  at('status').textContent = words[state];
}

function onFrame(frame) {
  if (frame.type === 'lines') receive(frame);
  if (frame.type === 'stored') stored(frame);
  if (frame.type === 'refused') refused(frame);
}

function receive({ lines: some, whole }) {
  const near = nearEnd();
  const news = [];
  for (const line of some) {
    const key = `${line.by}:${line.id}`;
    if (lines.has(key)) continue;
    lines.set(key, line);
    if (line.by === 'you') unsent.remove(line.id);
    if (line.by === 'us') news.push(line);
    for (const { label, reply } of line.buttons ?? []) labels.set(reply, label);
    if (loaded) arrived.add(key);
  }
  const ids = some.filter((it) => it.by === 'us' && !it.acknowledged).map((it) => it.id);
  for (let i = 0; i < ids.length; i += 500) connection.send({ type: 'seen', ids: ids.slice(i, i + 500) });
  if (whole) {
    if (!loaded) freshFrom = readUntil;
    loaded = true;
    for (const item of unsent.items) say(item);
  }
  if (document.hidden || !near) unread += news.filter((it) => it.at > readUntil).length;
  draw();
  if (near) toEnd();
  markRead();
}

function stored({ id, at: when }) {
  const item = unsent.items.find((it) => it.id === id);
  unsent.remove(id);
  if (item && !lines.has(`you:${id}`)) lines.set(`you:${id}`, { ...item, at: when, by: 'you' });
  notice('');
  draw();
}

function refused({ reason, id, limit: most }) {
  limit = most;
  const item = unsent.items.find((it) => it.id === id);
  if (!item) return;
  if (reason === 'too_fast' || reason === 'try_again') {
    notice(words[reason]);
    setTimeout(() => unsent.items.includes(item) && say(item), 1500 + Math.random() * 1500);
    return;
  }
  item.failed = true;
  unsent.keep();
  notice(reason === 'too_long' ? words.too_long(limit) : words.failed);
  draw();
}

function say(item) {
  if (!item.failed) connection.send({ type: 'say', id: item.id, text: item.text });
}

function speak(what) {
  say(unsent.add(what));
  freshFrom = '￿';
  draw();
  toEnd();
}

function notice(what) {
  at('notice').textContent = what;
  at('notice').hidden = !what;
}

function draw() {
  const sorted = [...lines.values()].sort((a, b) => new Date(a.at) - new Date(b.at));
  const items = [];
  let day = '';
  let marked = false;
  for (const line of sorted) {
    if (dayOf(line.at) !== day) {
      day = dayOf(line.at);
      items.push(kept(`day ${day}`, () => make('li', 'day', day)));
    }
    if (!marked && freshFrom && line.by === 'us' && line.at > freshFrom) {
      items.push(kept('fresh', () => make('li', 'fresh', words.fresh)));
      marked = true;
    }
    items.push(element(line));
  }
  items.push(...unsent.items.map((it) => kept(`${it.id} ${it.failed}`, () => waiting(it))));
  place(items);
  const last = items.findLast((it) => it.classList.contains('us'));
  for (const row of list.querySelectorAll('.buttons')) row.classList.toggle('old', row.parentElement !== last);
  at('empty').hidden = !loaded || items.length > 0;
}

const elements = new Map();

function kept(key, build) {
  if (!elements.has(key)) elements.set(key, build());
  return elements.get(key);
}

// Only what changed is touched, so that a screen reader reads a new line once.
function place(items) {
  const wanted = new Set(items);
  for (const child of [...list.children]) if (!wanted.has(child)) child.remove();
  items.forEach((item, i) => list.children[i] === item || list.insertBefore(item, list.children[i] ?? null));
}

function element(line) {
  const key = `${line.by}:${line.id}`;
  const label = line.by === 'you' ? labels.get(line.text) : undefined;
  const item = kept(key, () => bubble(line, { label, onPress: speak }));
  item.classList.toggle('arrives', arrived.delete(key));
  return item;
}

function waiting(item) {
  const made = bubble({ ...item, by: 'you' }, { label: labels.get(item.text), onPress: speak });
  made.classList.add(item.failed ? 'bad' : 'waiting');
  const meta = made.querySelector('.meta');
  meta.textContent = item.failed ? words.failed : words.waiting;
  if (item.failed) {
    const again = make('button', 'again', words.again);
    again.type = 'button';
    again.onclick = () => {
      unsent.remove(item.id);
      text.value = item.text;
      fit();
      draw();
      text.focus();
    };
    meta.append(' ', again);
  }
  return made;
}

const nearEnd = () => scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 120;

function toEnd() {
  scroll.scrollTop = scroll.scrollHeight;
}

function markRead() {
  if (!document.hidden && nearEnd() && lines.size) {
    unread = 0;
    const newest = [...lines.values()].reduce((max, it) => (it.at > max ? it.at : max), readUntil);
    if (newest > readUntil) {
      readUntil = newest;
      try {
        localStorage.setItem(READ, newest);
      } catch {
        // A private window forgets what was read.
      }
    }
  }
  document.title = unread ? `(${unread}) ${words.title}` : words.title;
  at('newer').hidden = nearEnd();
  at('newer').textContent = words.newer(unread);
}

function fit() {
  text.style.height = 'auto';
  text.style.height = `${text.scrollHeight + 2}px`;
  const length = [...text.value].length;
  send.disabled = !text.value.trim() || length > limit;
  notice(length > limit ? words.too_long(limit) : '');
}

form.addEventListener('submit', (event) => {
  event.preventDefault();
  const what = text.value.trim();
  if (!what || send.disabled) return;
  text.value = '';
  fit();
  speak(what);
});
text.addEventListener('input', fit);
text.addEventListener('keydown', (event) => {
  const touch = matchMedia('(pointer: coarse)').matches;
  if (event.key === 'Enter' && !event.shiftKey && !event.isComposing && !touch) {
    event.preventDefault();
    form.requestSubmit();
  }
});
at('newer').addEventListener('click', () => {
  toEnd();
  markRead();
});
scroll.addEventListener('scroll', markRead, { passive: true });
document.addEventListener('visibilitychange', markRead);
new ResizeObserver(() => unread || toEnd()).observe(form);
fit();
draw();
