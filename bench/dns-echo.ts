// What node:dgram alone takes: sends each query back as an answer to it. Ends with its parent.
import { createSocket } from 'node:dgram';

const RESPONSE = 0x80;

const socket = createSocket({
  type: 'udp4',
  recvBufferSize: 4 * 1024 * 1024,
  lookup: (address, _, done) => done(null, address, 4),
});
socket.on('message', (message, peer) => {
  message[2] = RESPONSE;
  socket.send(message, peer.port, peer.address);
});
socket.bind(Number(process.argv[2]), '127.0.0.1', () => process.send?.('listening'));
process.once('disconnect', () => process.exit());
