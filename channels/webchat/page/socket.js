// A socket that comes back by itself, and a box of what was said until the other side has it.
const TOO_MANY = 4001;
const SLOWEST_MS = 30_000;
const BOX = 'outreach-chat-unsent';

export class Connection {
  constructor({ onFrame, onState }) {
    this.onFrame = onFrame;
    this.onState = onState;
    this.tries = 0;
    this.socket = null;
    addEventListener('online', () => this.hurry());
    document.addEventListener('visibilitychange', () => document.hidden || this.hurry());
    this.open();
  }

  open() {
    clearTimeout(this.timer);
    this.onState('connecting');
    const url = new URL('socket', import.meta.url);
    url.protocol = url.protocol.replace('http', 'ws');
    const socket = new WebSocket(url);
    this.socket = socket;
    let opened = false;
    socket.onopen = () => {
      opened = true;
      this.onState('up');
    };
    socket.onmessage = ({ data }) => {
      this.tries = 0;
      this.onFrame(JSON.parse(data));
    };
    socket.onclose = ({ code }) => {
      this.socket = null;
      if (code === TOO_MANY) return this.onState('full');
      this.onState('down');
      this.later(opened);
    };
  }

  // Half of the wait is chance, so that pages do not all come back at once.
  later(opened) {
    const most = Math.min(SLOWEST_MS, 500 * 2 ** this.tries++);
    this.timer = setTimeout(async () => {
      // A socket that never opened may lack its cookie: the page brings a new one.
      if (!opened) await fetch(location.href, { cache: 'no-store' }).catch(() => null);
      if (!this.socket) this.open();
    }, most / 2 + (Math.random() * most) / 2);
  }

  hurry() {
    if (!this.socket && this.tries) {
      this.tries = 0;
      this.open();
    }
  }

  send(frame) {
    if (this.socket?.readyState !== WebSocket.OPEN) return false;
    this.socket.send(JSON.stringify(frame));
    return true;
  }
}

// Kept over reloads; the other side takes one id once, so saying it again is safe.
export class Unsent {
  constructor() {
    this.items = read();
  }

  add(text) {
    const item = { id: fresh(), text, at: new Date().toISOString() };
    this.items.push(item);
    this.keep();
    return item;
  }

  remove(id) {
    this.items = this.items.filter((item) => item.id !== id);
    this.keep();
  }

  keep() {
    try {
      localStorage.setItem(BOX, JSON.stringify(this.items));
    } catch {
      // A private window keeps it for as long as the page is open.
    }
  }
}

function read() {
  try {
    return JSON.parse(localStorage.getItem(BOX)) ?? [];
  } catch {
    return [];
  }
}

function fresh() {
  const octets = crypto.getRandomValues(new Uint8Array(12));
  return [...octets].map((it) => it.toString(16).padStart(2, '0')).join('');
}
