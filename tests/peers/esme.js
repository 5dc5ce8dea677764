// An SMPP customer on the npm package `smpp`: submits what it is told, tells what it got, in lines of JSON.
'use strict';
const readline = require('readline');
const smpp = require('smpp');

const say = (line) => process.stdout.write(JSON.stringify(line) + '\n');
const [port, password] = process.argv.slice(2);
const session = smpp.connect({ host: '127.0.0.1', port: Number(port) });

session.on('connect', () => {
  session.bind_transceiver({ system_id: 'outreach', password }, (pdu) => {
    say({ saw: 'bound', status: pdu.command_status, carrier: pdu.system_id });
  });
});
session.on('deliver_sm', (pdu) => {
  const { message, udh } = pdu.short_message;
  say({
    saw: 'deliver',
    from: pdu.source_addr,
    to: pdu.destination_addr,
    esm_class: pdu.esm_class,
    text: message,
    udh: udh ? udh.map((element) => element.toString('hex')) : null,
    receipted: pdu.receipted_message_id || null,
    state: pdu.message_state || null,
  });
  session.send(pdu.response());
});
session.on('error', (error) => say({ saw: 'error', reason: String(error.message) }));
session.on('close', () => say({ saw: 'closed' }));

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const { command, ...options } = JSON.parse(line);
  session[command](options, (pdu) => {
    say({
      saw: 'answer',
      command: pdu.command,
      status: pdu.command_status,
      id: pdu.message_id || null,
      state: pdu.message_state || null,
      ended: pdu.final_date || null,
    });
  });
}).on('close', () => process.exit(0));
