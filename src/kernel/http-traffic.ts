/**
 * A server on port 8080 that sends responses to a client in the same process, one after the other, as large as the kernel
 * makes packets. Prints where each ends. Run by http-response.test.ts in a network namespace; not for the product.
 */
import { once } from 'node:events';
import { connect, createServer } from 'node:net';

/** Chunks of `size` bytes that look like ends of bodies, a few hundred kilobytes of them. */
function chunks(size: number): string {
  const data = '0\r\n\r\n'.repeat(size / 5 + 1).slice(0, size);
  return `${size.toString(16)}\r\n${data}\r\n`.repeat(300_000 / (size + 8) + 1);
}

const large = `HTTP/1.1 200 OK\r\nX: ${'y'.repeat(30_000)}\r\nContent-Length: 3\r\n\r\nend`;
const responses = [
  `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${[1, 7, 100, 5000, 65_536, 300_000].map(chunks).join('')}0\r\n\r\n`,
  `HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n${'x'.repeat(3_000_000)}`,
  large,
];

const server = createServer((socket) => {
  for (const response of responses) socket.write(response, 'latin1');
  socket.end();
});
server.listen(8080, '127.0.0.1');
await once(server, 'listening');
const client = connect(8080, '127.0.0.1').resume();
await once(client, 'close');
server.close();
let end = 0;
for (const { length } of responses) {
  end += length;
  console.log(end);
}
