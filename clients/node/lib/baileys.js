// What a Baileys socket says, and what it does not.
//
// Baileys numbers every end of its WebSocket 428, so the close code itself is taken from the `ws` socket underneath and
// sent beside it. An upgrade that is answered with anything but 101 is followed by silence: no event, no timeout. Its
// answer is noted as a line of the log, and the agent finds the instance connecting for too long.
'use strict';

/** Hooks one socket. Each socket of an account is a session of its own. */
function hook(instance, sock, handlers) {
  const session = `s${(instance.sockets += 1)}`;
  if (!instance.options.protocol) instance.configure({ protocol: 'baileys' });
  if (handlers) instance.on(handlers);
  let closeCode;
  let over = false;
  instance.connecting(session);

  const raw = sock.ws?.socket ?? sock.ws;
  if (typeof raw?.on === 'function') {
    raw.on('close', (code) => {
      closeCode = Number.isInteger(code) ? code : undefined;
    });
    raw.on('unexpected-response', (request, response) => {
      if (!over) instance.line(`the upgrade was answered with HTTP ${response?.statusCode}, not 101`);
    });
    raw.on('error', (error) => {
      if (!over) instance.line(`WebSocket error: ${error?.message ?? error}`);
    });
  }

  sock.ev.on('connection.update', (update) => {
    try {
      if (over || !update) return;
      if (update.qr) instance.waitingForLogin(session);
      if (update.connection === 'connecting' && instance.state?.what !== 'connecting') instance.connecting(session);
      if (update.connection === 'open') instance.open(session, sock.user?.id);
      if (update.connection === 'close') {
        over = true;
        const error = update.lastDisconnect?.error;
        const code = error?.output?.statusCode ?? error?.statusCode;
        // The close code may come a moment after this event.
        setImmediate(() => instance.closed(code, error, { closeCode, session }));
      }
    } catch (error) {
      instance.client.complain(error);
    }
  });
}

module.exports = { hook };
