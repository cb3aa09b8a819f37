// Drives the load from the client's namespace: one Node process, C workers with one kept-alive connection each, on an open-loop schedule.
// It never sends a request before its instant, never more than asked for, and never repeats one that failed.
'use strict';

const crypto = require('crypto');
const fs = require('fs');
const http = require('http');
const { now, asLine } = require('./services/truth.js');

const given = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'));
const truth = fs.openSync(given.truth, 'a');

const address = (ip, port) => `${ip}:${port}`;
const until = (instant) => new Promise((done) => {
  const left = Number(instant - now()) / 1e6;
  if (left <= 0) done(); else setTimeout(done, Math.ceil(left));
});

class Worker {
  constructor() {
    this.agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  }

  // One exchange: status, both ends of its socket, and the times before and after the write and after the last read.
  exchange(ask, requestId, callId) {
    return new Promise((done, failed) => {
      const headers = { 'User-Agent': 'testbed', Accept: '*/*', 'X-Request-Id': requestId, 'X-Testbed-Span': callId };
      if (ask.body) Object.assign(headers, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(ask.body) });
      const { host, port } = given;
      const request = http.request({ agent: this.agent, host, port, method: ask.method, path: ask.path, headers }, (response) => {
        const { localAddress, localPort, remoteAddress, remotePort } = response.socket;
        response.resume();
        response.on('error', failed);
        response.on('end', () => done({
          status: response.statusCode, started, sent, ended: now(),
          local: address(localAddress, localPort), remote: address(remoteAddress, remotePort),
        }));
      });
      request.on('error', failed);
      const started = now();
      request.end(ask.body);
      const sent = now();
    });
  }

  // Sends one request and logs what came of it.
  async send(ask, scheduled, requestId) {
    const span = {
      service: 'client', request_id: requestId, index: ask.index, phase: ask.phase, scheduled_ns: scheduled,
      method: ask.method, path: ask.path, pid: process.pid, thread: process.pid, calls: [],
    };
    try {
      const callId = crypto.randomBytes(8).toString('hex');
      const made = await this.exchange(ask, requestId, callId);
      span.status = made.status;
      span.calls.push({
        call_id: callId, order: 0, protocol: 'http1', operation: ask.method, resource: ask.path,
        status: made.status, local: made.local, remote: made.remote,
        t_start_ns: made.started, t_sent_ns: made.sent, t_end_ns: made.ended,
      });
    } catch (error) {
      span.status = 0;
      span.error = String(error);
    }
    fs.writeSync(truth, asLine(span));
  }
}

// One part of the schedule, to its end.
async function run(workers, asks) {
  const begin = now() + 20000000n;
  let next = 0;
  await Promise.all(workers.map(async (worker) => {
    while (next < asks.length) {
      const ask = asks[next];
      next += 1;
      const scheduled = begin + BigInt(Math.round(ask.at * 1e9));
      await until(scheduled);
      await worker.send(ask, scheduled, crypto.randomBytes(16).toString('hex'));
    }
  }));
}

// Tells the recorder something and waits for its line.
function handshake(...words) {
  process.stdout.write(`${words.join(' ')}\n`);
  return new Promise((done) => process.stdin.once('data', done));
}

// Parts one after the other; a part with a single request that runs alone has a handshake before and after it.
async function main() {
  const workers = Array.from({ length: given.concurrency }, () => new Worker());
  for (const part of given.parts) {
    if (part.alone) {
      const requestId = crypto.randomBytes(16).toString('hex');
      await handshake('alone', requestId);
      await workers[0].send(part.asks[0], now(), requestId);
      await handshake('answered');
    } else {
      await run(workers, part.asks);
    }
  }
  workers.forEach((worker) => worker.agent.destroy());
  process.stdin.destroy();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
