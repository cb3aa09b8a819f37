// Service A, the mesh's front, on an event loop: asks B through Envoy (plainly or by mTLS), D, a name server, and tells a queue.
// It never waits on a timer unless it is told to, and never puts an id anywhere but into headers.
'use strict';

const crypto = require('crypto');
const dgram = require('dgram');
const fs = require('fs');
const http = require('http');
const net = require('net');
const { now, asLine } = require('../services/truth.js');

const given = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'));
const truth = fs.openSync(given.truth, 'a');
const MOST_ATTEMPTS = 3;
// Longer than what fits into one packet on the narrow way to D.
const WORDS = 'a thing worth having, '.repeat(70);

// Chance from a seed (mulberry32).
let state = given.seed * 2654435761 >>> 0;
function chance() {
  state = state + 0x6D2B79F5 >>> 0;
  let mixed = Math.imul(state ^ state >>> 15, state | 1);
  mixed ^= mixed + Math.imul(mixed ^ mixed >>> 7, mixed | 61);
  return ((mixed ^ mixed >>> 14) >>> 0) / 4294967296;
}
function shuffled(list) {
  const order = list.map((each) => [chance(), each]);
  return order.sort((a, b) => a[0] - b[0]).map((pair) => pair[1]);
}
function spin(milliseconds) {
  const end = process.hrtime.bigint() + BigInt(Math.round(milliseconds * 1e6));
  while (process.hrtime.bigint() < end);
}
// What leaves no trace: only where it was asked for, half of the times.
function pause() {
  if (!given.timer_ms || chance() < 0.5) return Promise.resolve();
  return new Promise((done) => setTimeout(done, -Math.log(1 - chance()) * given.timer_ms));
}

const newId = () => crypto.randomBytes(8).toString('hex');
const address = (ip, port) => (ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`);
const agent = new http.Agent({ keepAlive: true, maxSockets: Infinity, maxFreeSockets: 1024 });

// One HTTP exchange; its call goes into the span.
function exchange(span, endpoint, method, path, body, attempt) {
  const made = { call_id: newId(), order: span.calls.length, protocol: 'http1', operation: method, resource: path };
  if (attempt !== undefined) made.attempt = attempt;
  span.calls.push(made);
  return new Promise((done, failed) => {
    const headers = { 'User-Agent': 'testbed', Accept: '*/*', 'X-Request-Id': span.request_id, 'X-Testbed-Span': made.call_id };
    if (body) Object.assign(headers, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) });
    const [host, port] = endpoint;
    const gaveUp = (error) => {
      const own = request.socket || {};
      const local = own.localAddress ? address(own.localAddress, own.localPort) : made.local || '';
      Object.assign(made, { status: 0, error: String(error), t_end_ns: now(), local });
      failed(error);
    };
    const request = http.request({ agent, host, port, method, path, headers }, (response) => {
      const { localAddress, localPort } = response.socket;
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('error', gaveUp);
      response.on('end', () => {
        Object.assign(made, { status: response.statusCode, t_end_ns: now(), local: address(localAddress, localPort) });
        done({ status: response.statusCode, body: Buffer.concat(chunks).toString() });
      });
    });
    request.on('error', gaveUp);
    if (given.patience_ms) request.setTimeout(given.patience_ms, () => request.destroy(new Error('no answer in time')));
    Object.assign(made, { remote: address(host, port), t_start_ns: now() });
    request.on('socket', (socket) => socket.once('connect', () => { made.local = address(socket.localAddress, socket.localPort); }));
    request.end(body);
    made.t_sent_ns = now();
  });
}

// Asks the name server for an IPv4 address, from a socket of its own.
function lookUp(span, name) {
  const question = Buffer.concat([
    crypto.randomBytes(2), Buffer.from([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]),
    ...name.split('.').map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label)])),
    Buffer.from([0, 0, 1, 0, 1])]);
  const [host, port] = given.dns;
  const made = { call_id: newId(), order: span.calls.length, protocol: 'dns', operation: 'A', resource: name, remote: address(host, port) };
  span.calls.push(made);
  return new Promise((done, failed) => {
    const socket = dgram.createSocket('udp4');
    socket.on('error', failed);
    socket.on('message', (answer) => {
      made.t_end_ns = now();
      socket.close();
      done({ found: answer.readUInt16BE(6) > 0, code: answer[3] & 15 });
    });
    socket.connect(port, host, () => {
      const own = socket.address();
      Object.assign(made, { local: address(own.address, own.port), t_start_ns: now() });
      socket.send(question);
      made.t_sent_ns = now();
    });
  });
}

// Tells the queue and waits for nobody.
class Queue {
  constructor([host, port]) {
    this.remote = address(host, port);
    this.socket = net.connect({ host, port, noDelay: true });
    this.socket.on('data', (said) => { if (said.includes('PING\r\n')) this.socket.write('PONG\r\n'); });
    this.socket.write('CONNECT {"verbose":false,"pedantic":false,"headers":true,"name":"A"}\r\n');
  }

  publish(span, subject, payload) {
    const id = newId();
    const head = `NATS/1.0\r\nX-Request-Id: ${span.request_id}\r\nX-Testbed-Span: ${id}\r\n\r\n`;
    const started = now();
    this.socket.write(`HPUB ${subject} ${head.length} ${head.length + payload.length}\r\n${head}${payload}\r\n`);
    const sent = now();
    span.calls.push({
      call_id: id, order: span.calls.length, protocol: 'nats', operation: 'PUB', resource: subject,
      local: address(this.socket.localAddress, this.socket.localPort), remote: this.remote,
      t_start_ns: started, t_sent_ns: sent, t_end_ns: sent,
    });
  }
}

const queue = new Queue(given.nats);

// Each step once, in an order of chance, one after the other or all at once.
async function inAnyOrder(steps, together) {
  const order = shuffled(steps);
  if (together) {
    const ended = await Promise.allSettled(order.map((step) => pause().then(step)));
    const failed = ended.find((each) => each.status === 'rejected');
    if (failed) throw failed.reason;
    return;
  }
  for (const step of order) {
    await pause();
    await step();
    spin(chance() * 0.6);
  }
}

// A page: some of what B and D know of a thing.
async function page(span, item) {
  const steps = shuffled([
    () => exchange(span, given.b, 'GET', `/item/${item}`),
    () => exchange(span, given.b, 'GET', `/stock/${item}`),
    () => exchange(span, given.d, 'GET', `/quote/${item}`),
    () => exchange(span, given.d, 'GET', `/quote/${1 + item % 200}`),
  ]).slice(0, 1 + Math.floor(chance() * 4));
  await inAnyOrder(steps, chance() < 0.4);
  return 200;
}

// A search: D is looked up by its name now and then, and told a lot.
async function search(span, item) {
  if (chance() < 0.5 && !(await lookUp(span, given.name_of_d)).found) return 502;
  await pause();
  const answer = await exchange(span, given.d, 'POST', '/search', JSON.stringify({ item, words: WORDS }));
  if (chance() < 0.3) await exchange(span, given.b, 'GET', `/item/${item}`);
  return answer.status;
}

// An order: reserved by mTLS, again when B has no time, then told to the queue.
async function order(span, body) {
  let answer = { status: 503 };
  for (let attempt = 0; attempt < MOST_ATTEMPTS && answer.status === 503; attempt += 1) {
    await pause();
    answer = await exchange(span, given.b_tls, 'POST', '/reserve', body, attempt);
  }
  if (answer.status !== 200) return answer.status;
  const { item } = JSON.parse(body);
  if (chance() < 0.5) await exchange(span, given.b, 'GET', `/stock/${item}`);
  queue.publish(span, given.subject, JSON.stringify({ item }));
  return 201;
}

async function answer(span, body) {
  const [, route, item] = span.path.split('/');
  spin(0.1 + chance() * (chance() < 0.1 ? 6 : 0.8));
  if (route === 'page') return page(span, Number(item));
  if (route === 'search') return search(span, Number(item));
  if (route === 'order') return order(span, body);
  return route === 'health' ? 200 : 404;
}

async function handle(request, response) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const { socket, headers } = request;
  const span = {
    service: 'A', request_id: headers['x-request-id'], parent_call_id: headers['x-testbed-span'], span_id: newId(),
    method: request.method, path: request.url, pid: process.pid, thread: process.pid,
    local: address(socket.localAddress, socket.localPort), peer: address(socket.remoteAddress, socket.remotePort),
    t_read_after_ns: now(), calls: [],
  };
  try {
    span.status = await answer(span, Buffer.concat(chunks).toString());
  } catch (error) {
    span.status = 500;
    span.error = String(error);
  }
  const said = JSON.stringify({ status: span.status });
  span.t_write_before_ns = now();
  response.writeHead(span.status, { 'Content-Type': 'application/json', 'Content-Length': said.length });
  response.end(said);
  span.t_write_after_ns = now();
  fs.writeSync(truth, asLine(span));
}

const server = http.createServer(handle);
// Idle connections stay: the proxy before it would run into their ends.
Object.assign(server, { keepAliveTimeout: 3600000, headersTimeout: 3700000, requestTimeout: 0 });
server.listen(given.listen[1], given.listen[0], 511);
