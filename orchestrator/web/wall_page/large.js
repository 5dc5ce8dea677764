// The phone in the hand: its whole conversation and a box to type in.
import { conversation, make, written } from './phone.js';
import { words } from './words.js';

const dialog = document.getElementById('large');

export class Large {
  constructor(send) {
    this.send = send;
    this.number = '';
    dialog.addEventListener('close', () => {
      this.send({ type: 'open', number: '' });
      this.number = '';
    });
    dialog.addEventListener('click', (event) => event.target === dialog && dialog.close());
  }

  open(number) {
    this.number = number;
    this.shownOnce = false;
    this.send({ type: 'open', number });
    this.build();
    dialog.showModal();
    this.text.focus();
  }

  // After a reconnect the other side has forgotten which phone is open.
  resume() {
    if (this.number) this.send({ type: 'open', number: this.number });
  }

  build() {
    const body = make('div', 'phone big');
    const screen = make('div', 'screen');
    const bar = make('div', 'bar');
    const name = make('h2', 'name', written(this.number));
    name.id = 'large-number';
    this.power = make('button', 'power');
    this.power.type = 'button';
    this.power.onclick = () => this.send({ type: 'power', number: this.number, on: !this.phone?.on });
    const close = make('button', 'close', '×');
    close.type = 'button';
    close.ariaLabel = words.close;
    close.onclick = () => dialog.close();
    bar.append(name, this.power, close);
    this.lines = make('ol', 'lines');
    this.lines.setAttribute('role', 'log');
    this.form = make('form', 'typing');
    this.text = make('textarea');
    this.text.rows = 1;
    this.text.maxLength = 1000;
    this.text.enterKeyHint = 'send';
    const button = make('button', 'send', '↑');
    button.ariaLabel = words.send;
    this.form.append(this.text, button);
    this.form.onsubmit = (event) => {
      event.preventDefault();
      this.say(this.text.value);
    };
    this.text.oninput = () => this.fit();
    this.text.onkeydown = (event) => {
      if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        this.form.requestSubmit();
      }
    };
    screen.append(bar, this.lines, this.form);
    body.append(make('div', 'ear'), screen);
    this.body = body;
    document.getElementById('stage').replaceChildren(body);
  }

  show(phone) {
    if (phone.number !== this.number) return;
    const near = this.lines.scrollHeight - this.lines.scrollTop - this.lines.clientHeight < 80;
    this.phone = phone;
    this.body.classList.toggle('off', !phone.on);
    this.power.textContent = phone.on ? words.power_off : words.power_on;
    this.text.placeholder = words.to(phone.other);
    this.text.ariaLabel = words.to(phone.other);
    this.lines.replaceChildren(...conversation(phone, (reply) => this.say(reply)));
    if (near || !this.shownOnce) this.lines.scrollTop = this.lines.scrollHeight;
    this.shownOnce = true;
  }

  say(what) {
    const said = what.trim();
    if (!said || !this.send({ type: 'say', number: this.number, text: said })) return;
    this.text.value = '';
    this.fit();
    this.lines.scrollTop = this.lines.scrollHeight;
  }

  fit() {
    this.text.style.height = 'auto';
    this.text.style.height = `${this.text.scrollHeight + 2}px`;
  }
}
