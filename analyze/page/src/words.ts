// Numbers and instants as a person reads them: the same words as in a terminal (`analyze/src/quantity.rs`).

function threeDigits(value: number, unit: string): string {
  const digits = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  return `${value.toFixed(digits)} ${unit}`;
}

/** `312 µs`, `1.24 ms`, `3 min 20 s`. */
export function duration(ns: number): string {
  const sign = ns < 0 ? "-" : "";
  const size = Math.abs(ns);
  if (size < 1e3) return `${sign}${Math.round(size)} ns`;
  if (size < 999_500) return sign + threeDigits(size / 1e3, "µs");
  if (size < 999_500_000) return sign + threeDigits(size / 1e6, "ms");
  if (size < 119.5e9) return sign + threeDigits(size / 1e9, "s");
  const seconds = Math.round(size / 1e9);
  const [hours, minutes, rest] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  if (hours > 0) return `${sign}${hours} h ${minutes} min`;
  return sign + (rest === 0 ? `${minutes} min` : `${minutes} min ${rest} s`);
}

export const known = (ns: number | null): string => (ns === null ? "–" : duration(ns));

export const seen = (ns: number, atLeast: boolean): string => (atLeast ? `≥ ${duration(ns)}` : duration(ns));

export const count = (n: number): string => n.toLocaleString("en-US");

export const plural = (n: number, noun: string): string => `${count(n)} ${noun}${n === 1 ? "" : "s"}`;

/** `42 %`, `<0.1 %`; `–` of nothing. */
export function share(part: number, whole: number): string {
  if (whole <= 0) return "–";
  const percent = (100 * part) / whole;
  if (percent === 0) return "0 %";
  if (percent > 0 && percent < 0.1) return "<0.1 %";
  return percent < 9.95 || (percent > 99 && percent < 99.95) ? `${percent.toFixed(1)} %` : `${percent.toFixed(0)} %`;
}

export const rate = (perSecond: number | null): string =>
  perSecond === null ? "–" : perSecond >= 99.95 ? `${perSecond.toFixed(0)}/s` : `${perSecond.toFixed(2)}/s`;

export function bytes(n: number): string {
  if (n < 1000) return `${n} B`;
  if (n < 999_500) return threeDigits(n / 1e3, "kB");
  return n < 999_500_000 ? threeDigits(n / 1e6, "MB") : threeDigits(n / 1e9, "GB");
}

/** Instants of a page: `10:14:03.123`, `2026-11-22 10:14:03.123456 Z`. */
export class Zone {
  constructor(
    private readonly beginUnixNs: bigint,
    private readonly minutes: number,
  ) {}

  private local(atNs: number): { date: Date; nanoseconds: number } {
    const at = this.beginUnixNs + BigInt(Math.round(atNs)) + BigInt(this.minutes) * 60_000_000_000n;
    const milliseconds = at / 1_000_000n;
    return { date: new Date(Number(milliseconds)), nanoseconds: Number(at % 1_000_000_000n) };
  }

  time(atNs: number): string {
    return this.local(atNs).date.toISOString().slice(11, 23);
  }

  exact(atNs: number): string {
    const { date, nanoseconds } = this.local(atNs);
    const seconds = date.toISOString().slice(0, 19).replace("T", " ");
    return `${seconds}.${String(Math.floor(nanoseconds / 1000)).padStart(6, "0")} ${this.name()}`;
  }

  name(): string {
    if (this.minutes === 0) return "UTC";
    const size = Math.abs(this.minutes);
    const two = (n: number) => String(n).padStart(2, "0");
    return `${this.minutes < 0 ? "-" : "+"}${two(Math.floor(size / 60))}:${two(size % 60)}`;
  }
}

/** Text that came from the network, with what a reader could not see made visible: control characters and those that turn the direction. */
export function visible(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/gu, (c) =>
    `\\u{${c.codePointAt(0)?.toString(16) ?? ""}}`,
  );
}

/** Shortened in its middle: both ends of a path tell more than the middle. */
export function fit(text: string, most: number): string {
  const shown = visible(text);
  if (shown.length <= most) return shown;
  const head = Math.ceil((most - 1) * 0.6);
  return `${shown.slice(0, head)}…${shown.slice(shown.length - (most - 1 - head))}`;
}
