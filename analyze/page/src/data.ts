// What the page holds: its shape as `analyze/src/report/page/` writes it, and how it is read. Never changes a value.

export type Severity = "pass" | "warn" | "fail";

/** Nearest-rank percentiles, nanoseconds; those named in `lower_bounds` may turn out larger. */
export interface Percentiles {
  n: number;
  p50_ns: number;
  p90_ns: number;
  p99_ns: number;
  max_ns: number;
  lower_bounds: string[];
}

export interface Finding {
  severity: Severity;
  class: string;
  culprit: string;
  concerns: string[];
  sentence: string;
  evidence: string[];
  cost: string[];
  /** Findings about the same traces: their numbers, and that in words. */
  related: [number, string][];
  worst: number | null;
}

export interface ClockPair {
  clock: string;
  other: string;
  reference: string;
  reference_ntp_error_ns: number | null;
  ahead_ns: number | null;
  bound_ns: number | null;
  worst_bound_ns: number | null;
  drift_ppb: number | null;
  drift_bound_ppb: number | null;
  matches_forth: number;
  matches_back: number;
  contradicting: number;
  steps: number;
  quality: string;
}

export interface Told {
  counts: string[];
  severity: Severity;
  culprit: string | null;
  n_failed: number;
  n_slow: number;
  n_unexplained: number;
  findings: Finding[];
  not_found: string[];
  not_known: string[];
  clocks: ClockPair[];
  lost: [number, string, string][];
}

export interface Service {
  name: string;
  role: "client" | "service" | "proxy" | "store" | "broker";
  protocols: string[];
  n: number;
  n_failed: number;
  n_open: number;
  per_second: number | null;
  duration: Percentiles | null;
  own_share: number;
}

export interface Passed {
  name: string;
  kind: "gateway" | "bridge";
}

export interface Edge {
  from: string;
  to: string;
  protocol: string;
  n: number;
  n_failed: number;
  n_open: number;
  duration: Percentiles | null;
  /** Network, forwarding, the server's own, waiting for what the server asked. */
  split_ns: [number, number, number, number];
  way: Passed[];
  n_way: number;
}

export interface StretchLine {
  client_service: string;
  server_service: string;
  protocol: string;
  part: string;
  from: string;
  to: string;
  /** How many points are behind each of the two names. */
  n_points: [number, number];
  /** Between two interfaces of one place. */
  through: boolean;
  n_calls: number;
  n_observed: number;
  not_observed_share: number | null;
  time_share: number | null;
  path_share: number | null;
  on_path_ns: number;
  n_lost: number;
  forward: Percentiles | null;
  return: Percentiles | null;
  total: Percentiles | null;
}

export interface Stretch {
  line: StretchLine;
  /** Column, row, how many calls. */
  heat: [number, number, number][];
}

export interface Row {
  id: string;
  at_ns: number;
  ns: number;
  at_least: boolean;
  request: string;
  route: string;
  protocol: string;
  status: string;
  n_failed: number;
  slow: boolean;
  client: string;
  service: string;
  n_calls: number;
  finding: number | null;
  place: string;
  place_ns: number;
  least_sure: number | null;
}

export type Kind = "network" | "forwarding" | "server" | "before" | "queue";

export interface PartName {
  name: string;
  words: string;
  kind: Kind;
}

export interface Frame {
  service: string;
  request: string;
  n: number;
  n_failed: number;
  ns: number;
  own_ns: number;
  way_ns: number;
  children: Frame[];
}

export interface Head {
  schema: string;
  program: string;
  title: string;
  begin_unix_ns: string;
  zone_minutes: number;
  length_ns: number;
  n_traces: number;
  block: number;
  told: Told;
  map: { services: Service[]; edges: Edge[] };
  hops: { column_ns: number; n_columns: number; rows_each_doubling: number; stretches: Stretch[] };
  traces: Row[];
  parts: PartName[];
  points: string[];
  flame: Frame;
}

/** Point, the request's first byte since the trace's begin, then how much later the request's last, the response's first and last byte
 * passed; segments sent again; bytes not captured here. */
export type Span = [number, number | null, number | null, number | null, number | null, number, number];

/** Part, from which span to which, with the request, with the response, both, within how much, whether it leads through one place. */
export type Hop = [number, number, number, number | null, number | null, number, number | null, boolean];

export interface Call {
  id: string;
  parent: number | null;
  client: string;
  service: string;
  protocol: string;
  request: string;
  status: string;
  failed: boolean;
  state: string;
  at_ns: number | null;
  bound_ns: number;
  ns: number;
  at_least: boolean;
  own_ns: number | null;
  critical_ns: [number, number, number] | null;
  link: string;
  confidence: number | null;
  candidates: number;
  before: [number, number, string][];
  spans: Span[];
  hops: Hop[];
  missing: string[];
  /** Findings that are about it, by their number, and what each cost its trace. */
  findings: [number, number][];
  issues: string[];
  bytes: [number, number];
}

export interface Detail {
  calls: Call[];
}

/** A part of the data by its name: gzip in base64 between the tags of an element that no browser runs. */
async function read<T>(name: string): Promise<T> {
  const element = document.getElementById(name);
  if (!element) throw new Error(`this page lacks its part "${name}": it is not whole`);
  const text = atob(element.textContent ?? "");
  const bytes = Uint8Array.from(text, (character) => character.charCodeAt(0));
  const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return (await new Response(plain).json()) as T;
}

export const readHead = (): Promise<Head> => read<Head>("head");

const blocks = new Map<number, Promise<Detail[]>>();

/** All calls of the trace at this place of the list. */
export async function readTrace(head: Head, place: number): Promise<Detail> {
  const number = Math.floor(place / head.block);
  let block = blocks.get(number);
  if (!block) {
    block = read<Detail[]>(`traces-${number}`);
    blocks.set(number, block);
  }
  const detail = (await block)[place % head.block];
  if (!detail) throw new Error("this page does not hold that trace");
  return detail;
}
