// What Node programs of the testbed share: a clock with nanoseconds, and lines of truth with whole 64-bit numbers.
// It never opens a file itself.
'use strict';

// Node tells wall-clock time in milliseconds only: its finer clock is set by their ticks, the earliest seen is the truest.
const offset = (() => {
  let found = null;
  for (let ticks = 0; ticks < 20; ticks += 1) {
    const before = Date.now();
    let after = before;
    while (after === before) after = Date.now();
    const seen = BigInt(after) * 1000000n - process.hrtime.bigint();
    found = found === null || seen > found ? seen : found;
  }
  return found;
})();

// CLOCK_REALTIME, nanoseconds.
const now = () => process.hrtime.bigint() + offset;

// One line of JSON; JSON.stringify knows no whole numbers of 64 bits.
const asLine = (object) => `${JSON.stringify(object, (_, value) => (typeof value === 'bigint' ? `@${value}@` : value))
  .replace(/"@(-?\d+)@"/g, '$1')}\n`;

module.exports = { now, asLine };
