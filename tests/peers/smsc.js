// An SMPP carrier on the npm package `smpp`, told what to do and telling what it saw in lines of JSON.
'use strict';
const readline = require('readline');
const smpp = require('smpp');

const say = (line) => process.stdout.write(JSON.stringify(line) + '\n');
const text = (message) => (message && message.message !== undefined ? message.message : message);
let bound = null;
let count = 0;
const cancelled = new Set();

function receipt(session, pdu, id) {
  session.deliver_sm({
    source_addr_ton: pdu.dest_addr_ton,
    source_addr: pdu.destination_addr,
    destination_addr: pdu.source_addr,
    esm_class: 4,
    short_message: `id:${id} sub:001 dlvrd:001 submit date:2611212021 done date:2611212021 ` +
      'stat:DELIVRD err:000 text:',
    receipted_message_id: id,
    message_state: 2,
  }, (answer) => say({ saw: 'receipt_answer', status: answer.command_status }));
}

const server = smpp.createServer((session) => {
  const bind = (pdu) => {
    if (pdu.password !== 'secret') {
      session.send(pdu.response({ command_status: smpp.ESME_RINVPASWD }));
      return;
    }
    bound = session;
    session.send(pdu.response({ system_id: 'npm-smpp' }));
    say({ saw: 'bind', command: pdu.command, system_id: pdu.system_id });
  };
  session.on('bind_transceiver', bind);
  session.on('bind_transmitter', bind);
  session.on('bind_receiver', bind);
  session.on('enquire_link', (pdu) => session.send(pdu.response()));
  session.on('unbind', (pdu) => {
    say({ saw: 'unbind' });
    session.send(pdu.response());
    session.close();
  });
  session.on('submit_sm', (pdu) => {
    const udh = pdu.short_message.udh;
    say({
      saw: 'submit',
      to: pdu.destination_addr,
      ton: pdu.dest_addr_ton,
      from: pdu.source_addr,
      coding: pdu.data_coding,
      text: text(pdu.short_message),
      udh: udh ? udh.map((element) => element.toString('hex')) : null,
      registered: pdu.registered_delivery,
    });
    if (pdu.destination_addr.endsWith('99')) {
      session.send(pdu.response({ command_status: smpp.ESME_RINVDSTADR }));
      return;
    }
    const id = `npm-${++count}`;
    session.send(pdu.response({ message_id: id }));
    if (pdu.registered_delivery & 1) receipt(session, pdu, id);
  });
  session.on('query_sm', (pdu) => {
    say({ saw: 'query', id: pdu.message_id, ton: pdu.source_addr_ton, from: pdu.source_addr });
    if (!pdu.message_id.startsWith('npm-')) {
      session.send(pdu.response({ command_status: smpp.ESME_RQUERYFAIL }));
      return;
    }
    const state = cancelled.has(pdu.message_id) ? 4 : 1;
    session.send(pdu.response({
      message_id: pdu.message_id,
      final_date: state === 4 ? new Date(Date.UTC(2026, 10, 22, 4, 5, 6)) : '',
      message_state: state,
      error_code: 0,
    }));
  });
  session.on('cancel_sm', (pdu) => {
    const { message_id: id, source_addr: from, destination_addr: to, dest_addr_ton: ton } = pdu;
    say({ saw: 'cancel', id, from, to, ton });
    const refused = cancelled.has(id) ? smpp.ESME_RCANCELFAIL : 0;
    cancelled.add(id);
    session.send(pdu.response({ command_status: refused }));
  });
  session.on('error', () => {});
});

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const told = JSON.parse(line);
  bound.deliver_sm(
    Object.assign({ source_addr_ton: 1, destination_addr: '10086' }, told),
    (answer) => say({ saw: 'deliver_answer', status: answer.command_status })
  );
}).on('close', () => process.exit(0));

server.listen(0, '127.0.0.1', () => say({ saw: 'listening', port: server.address().port }));
