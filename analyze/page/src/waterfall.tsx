// One trace: every call on the trace's own time, from its client through every point to its server, the parts of its time, the path that
// made the trace as long as it was, and why each call stands where it does. Keys: ↑ ↓ to another call, ← → to another trace, Escape back.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Call, Detail, Head, Hop, Row } from "./data";
import { readTrace } from "./data";
import { isForPage, Legend, Panel, type Part, Split, Text } from "./pieces";
import { address, go, usePlace } from "./place";
import { bytes, duration, known, plural, seen, share, visible, Zone } from "./words";

export function useDetail(head: Head, place: number): Detail | string {
  const [read, set] = useState<{ place: number; detail: Detail | string }>({ place: -1, detail: "" });
  useEffect(() => {
    let isWanted = true;
    const put = (detail: Detail | string) => isWanted && set({ place, detail });
    readTrace(head, place).then(put, (error: unknown) => put(String(error)));
    return () => {
      isWanted = false;
    };
  }, [head, place]);
  return read.place === place ? read.detail : "";
}

export function Trace({ head, zone }: { head: Head; zone: Zone }) {
  const { of } = usePlace();
  const place = head.traces.findIndex((row) => row.id === of);
  const row = head.traces[place];
  if (!row) {
    return (
      <Panel title="Trace">
        <p>
          This page holds no trace {visible(of)}. <a href={address("traces")}>All traces</a>
        </p>
      </Panel>
    );
  }
  return <Shown head={head} zone={zone} place={place} row={row} />;
}

interface Placed {
  call: Call;
  number: number;
  depth: number;
}

/** Calls in their order with how deep each stands. */
function placed(detail: Detail): Placed[] {
  const depths: number[] = [];
  return detail.calls.map((call, number) => {
    const depth = call.parent === null ? 0 : (depths[call.parent] ?? 0) + 1;
    depths.push(depth);
    return { call, number, depth };
  });
}

/** The slowest part of a trace: the call's number, the hop's place in it. */
export function slowest(head: Head, detail: Detail): [number, number] {
  let most = 0;
  let found: [number, number] = [-1, -1];
  detail.calls.forEach((call, number) =>
    call.hops.forEach((hop, i) => {
      const ns = ownOf(head, call, hop);
      if (ns > most) [most, found] = [ns, [number, i]];
    }),
  );
  return found;
}

const isWork = (head: Head, hop: Hop) => ["server", "server_app"].includes(head.parts[hop[0]]?.name ?? "");

/** What a part took without the time in which further calls were waited for. */
function ownOf(head: Head, call: Call, hop: Hop): number {
  return isWork(head, hop) && call.own_ns !== null ? Math.min(call.own_ns, hop[5]) : hop[5];
}

function Shown({ head, zone, place, row }: { head: Head; zone: Zone; place: number; row: Row }) {
  const detail = useDetail(head, place);
  const [at, setAt] = useState(0);
  const rows = useMemo(() => (typeof detail === "string" ? [] : placed(detail)), [detail]);
  const slow = useMemo(() => (typeof detail === "string" ? ([-1, -1] as [number, number]) : slowest(head, detail)), [detail]);
  const { search } = usePlace();
  const number = search.get("finding") === null ? row.finding : Number(search.get("finding"));
  const finding = number === null ? undefined : head.told.findings[number];
  const costOf = (call: Call) => call.findings.find(([of]) => of === number)?.[1];
  const about = rows.filter(({ call }) => costOf(call) !== undefined);
  const cost = about.reduce((sum, { call }) => sum + (costOf(call) ?? 0), 0);
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if (!isForPage(event)) return;
      const beside = event.key === "ArrowLeft" ? -1 : event.key === "ArrowRight" ? 1 : 0;
      const other = head.traces[place + beside];
      moved.current = event.key.startsWith("Arrow");
      if (event.key === "ArrowDown" || event.key === "j") setAt((now) => Math.min(now + 1, rows.length - 1));
      else if (event.key === "ArrowUp" || event.key === "k") setAt((now) => Math.max(now - 1, 0));
      else if (event.key === "Escape") history.back();
      else if (beside !== 0 && other) go(address("trace", other.id));
      else return;
      event.preventDefault();
    };
    window.addEventListener("keydown", pressed);
    return () => window.removeEventListener("keydown", pressed);
  }, [rows, place]);
  // What the finding cost most is looked at first, without one the slowest part.
  useEffect(() => {
    const worst = [...about].sort((a, b) => (costOf(b.call) ?? 0) - (costOf(a.call) ?? 0))[0];
    setAt(worst ? worst.number : Math.max(0, slow[0]));
  }, [detail, number]);
  const moved = useRef(false);
  useEffect(() => {
    if (moved.current) document.querySelector(".waterfall .chosen")?.scrollIntoView({ block: "nearest" });
  }, [at]);
  const end = Math.max(row.ns, 1, ...rows.map(({ call }) => (call.at_ns ?? 0) + call.ns));
  const chosen = rows[at];
  return (
    <Panel title={`${row.request} → ${row.status} in ${seen(row.ns, row.at_least)}`} className="trace">
      <p>
        {zone.exact(row.at_ns)} · from <Text>{row.client}</Text> · {plural(row.n_calls, "call")}
        {row.n_failed > 0 && <span class="failed"> · {row.n_failed} failed</span>} · <code>afterpath trace {row.id.slice(0, 8)}</code>
      </p>
      {(finding || row.place) && (
        <p class="answer">
          {row.place && (
            <>
              <b>Slowest part:</b> {visible(row.place)} {duration(row.place_ns)}
              {!row.at_least && ` = ${share(row.place_ns, row.ns)} of the trace`}
            </>
          )}
          {finding && (
            <>
              {row.place && " · "}
              <b>{number === row.finding ? "blamed on" : "shows"}</b> {visible(finding.culprit)} (<a href={address("verdict")}>{finding.class}</a>)
              {cost > 0 && `: ${duration(cost)} of it, in ${plural(about.length, "call")} marked ⚑`}
            </>
          )}
        </p>
      )}
      {typeof detail === "string" ? (
        <p role="status">{detail || "Reading …"}</p>
      ) : (
        <>
          <Breakdown parts={breakdown(head, detail)} whole={row.ns} />
          <Legend kinds={["network", "forwarding", "queue", "server", "waiting", "before"]} />
          <p class="about">
            A dark line under a bar: on the path that made the trace as long as it was. A red line over it: the slowest part. Brackets: how exactly its begin is known, between the clocks of two machines. Choose a call for its hops.{" "}
            <a href={address("replay", row.id)}>Replay it on the map →</a>
          </p>
          <Scale end={end} />
          <ol class="waterfall" aria-label="Calls of this trace">
            {rows.map((placedCall) => (
              <Line head={head} placed={placedCall} detail={detail} end={end} isChosen={placedCall.number === at} slow={slow} cost={costOf(placedCall.call)} onChoose={() => setAt(placedCall.number)} />
            ))}
          </ol>
          {chosen && <CallDetails head={head} call={chosen.call} slowHop={slow[0] === chosen.number ? slow[1] : -1} concerns={costOf(chosen.call) === undefined ? [] : (finding?.concerns ?? [])} />}
        </>
      )}
    </Panel>
  );
}

const SHOWN = 6;

function Breakdown({ parts, whole }: { parts: { words: string; kind: Part["kind"]; ns: number }[]; whole: number }) {
  if (parts.length === 0) return null;
  const rest = parts.slice(SHOWN);
  const lines = [...parts.slice(0, SHOWN), ...(rest.length > 0 ? [{ words: `${rest.length} smaller parts`, kind: "waiting" as const, ns: rest.reduce((sum, { ns }) => sum + ns, 0) }] : [])];
  return (
    <div class="breakdown">
      <b>Where its time went</b>
      <Split parts={lines} label="Where its time went" />
      <ol>
        {lines.map(({ words, kind, ns }) => (
          <li>
            <svg width="10" height="10" aria-hidden="true">
              <rect class={`kind-${kind}`} width="10" height="10" rx="2" />
            </svg>{" "}
            <b>{share(ns, whole)}</b> {visible(words)} · {duration(ns)}
          </li>
        ))}
      </ol>
    </div>
  );
}

function Scale({ end }: { end: number }) {
  return (
    <div class="scale" aria-hidden="true">
      {[0, 0.25, 0.5, 0.75, 1].map((part) => (
        <span>{part === 0 ? "0" : duration(end * part)}</span>
      ))}
    </div>
  );
}

const WIDTH = 1000;

/** What a call waited for before its first byte: a connection, a name. */
const waitedBefore = (call: Call): number => call.before.reduce((sum, [, ns]) => sum + ns, 0);

/** Parts that a process's sockets kept: at which end of the hop it stands, and what that is called. */
const QUEUES: Record<string, [at: "from" | "to", words: string]> = {
  client_send_queue: ["from", "not sent yet"],
  client_recv_queue: ["from", "answers lay unread"],
  server_accept_queue: ["to", "not accepted yet"],
  server_sched: ["to", "waking up"],
  server_busy: ["to", "requests lay unread"],
  server_kernel_rx: ["to", "reading"],
  server_send_queue: ["to", "not sent yet"],
};

const placeOf = (label: string): string => label.slice(0, label.lastIndexOf("/")) || label;

/** Where a trace's time went: the parts of all calls on the path that made it as long as it was, the largest first. They sum to it, but for
 * what was not observed. */
function breakdown(head: Head, detail: Detail): { words: string; kind: Part["kind"]; ns: number }[] {
  const found = new Map<string, { words: string; kind: Part["kind"]; ns: number }>();
  const add = (words: string, kind: Part["kind"], ns: number) => {
    const known = found.get(words) ?? { words, kind, ns: 0 };
    known.ns += ns;
    found.set(words, known);
  };
  const adds = (words: string, kind: Part["kind"], ns: number): number => {
    if (ns > 0) add(words, kind, ns);
    return Math.max(0, ns);
  };
  detail.calls.forEach((call, number) => {
    if (!call.critical_ns) return;
    const labelOf = (span: number) => head.points[call.spans[span]?.[0] ?? -1] ?? "?";
    const [path, own] = call.critical_ns;
    const waits = detail.calls.filter((child) => child.parent === number && (child.critical_ns?.[0] ?? 0) > 0).reduce((sum, child) => sum + waitedBefore(child), 0);
    const waited = Math.min(own, waits);
    add(`${call.service}: own work`, "server", own - waited);
    add(`${call.service}: waiting for a connection or a name`, "before", waited);
    // What of its way was spent where; what its hops do not account for stands with the network.
    let way = path - own;
    for (const hop of call.hops) {
      const part = head.parts[hop[0]];
      const [at, words] = QUEUES[part?.name ?? ""] ?? [];
      if (hop[7]) way -= adds(`through ${placeOf(labelOf(hop[2]))}`, "forwarding", Math.min(hop[5], way));
      else if (words !== undefined) way -= adds(`${labelOf(at === "from" ? hop[1] : hop[2])}: ${words}`, "queue", Math.min(hop[5], way));
      else if (part?.kind === "forwarding") way -= adds(`through ${labelOf(hop[2])}`, "forwarding", Math.min(hop[5], way));
    }
    add("network", "network", way);
  });
  return [...found.values()].filter(({ ns }) => ns > 0).sort((a, b) => b.ns - a.ns);
}

/** Whose time a hop is: what leads through one place is that place's. */
function kindOf(head: Head, hop: Hop): Part["kind"] {
  return hop[7] ? "forwarding" : (head.parts[hop[0]]?.kind ?? "network");
}

/** The bar of a call: its way there, its server, its way back; over the server what it waited for. */
function pieces(head: Head, call: Call, children: Call[], slowHop: number): { kind: Part["kind"]; from: number; ns: number; isSlow?: boolean }[] {
  const begin = call.at_ns ?? 0;
  const found: { kind: Part["kind"]; from: number; ns: number; isSlow?: boolean }[] = [];
  const ways: { kind: Part["kind"]; ns: number; isSlow: boolean }[] = [];
  let there = 0;
  for (const [i, hop] of call.hops.entries()) {
    const kind = kindOf(head, hop);
    const isBack = hop[3] === null && hop[4] !== null;
    if (isWork(head, hop)) continue;
    const forward = hop[3] ?? (isBack ? 0 : hop[4] === null ? hop[5] : hop[5] - (hop[4] ?? 0));
    found.push({ kind, from: begin + there, ns: forward, isSlow: i === slowHop && forward > 0 });
    there += forward;
    ways.push({ kind, ns: hop[5] - forward, isSlow: i === slowHop && forward === 0 });
  }
  const work = call.hops.filter((hop) => isWork(head, hop)).reduce((sum, hop) => sum + hop[5], 0);
  if (call.hops.length === 0) return [{ kind: "server", from: begin, ns: call.ns }];
  const isSlow = slowHop >= 0 && call.hops[slowHop] !== undefined && isWork(head, call.hops[slowHop]);
  found.push({ kind: "server", from: begin + there, ns: work, isSlow });
  const over = (kind: Part["kind"], from: number, until: number) => {
    const [first, last] = [Math.max(from, begin + there), Math.min(until, begin + there + work)];
    if (last > first) found.push({ kind, from: first, ns: last - first });
  };
  for (const child of children) {
    if (child.at_ns === null) continue;
    // What a call waited for before it began, its caller waited for.
    over("before", child.at_ns - waitedBefore(child), child.at_ns);
    over("waiting", child.at_ns, child.at_ns + child.ns);
  }
  // Back the same way, the last hop first.
  let at = begin + there + work;
  for (const { kind, ns, isSlow } of ways.reverse()) {
    found.push({ kind, from: at, ns, isSlow });
    at += ns;
  }
  return found;
}

function Line(props: { head: Head; placed: Placed; detail: Detail; end: number; isChosen: boolean; slow: [number, number]; cost: number | undefined; onChoose: () => void }) {
  const { head, detail, end } = props;
  const { call, number, depth } = props.placed;
  const children = detail.calls.filter((other) => other.parent === number);
  const x = (ns: number) => (WIDTH * ns) / end;
  const isCritical = (call.critical_ns?.[0] ?? 0) > 0;
  const again = call.spans.reduce((sum, span) => sum + span[5], 0);
  const missing = Math.max(0, ...call.spans.map((span) => span[6]));
  const before = waitedBefore(call);
  const words = `${call.service} ${call.request}, ${call.status}, ${seen(call.ns, call.at_least)}${isCritical ? ", on the critical path" : ""}`;
  return (
    <li class={`${props.isChosen ? "chosen" : ""} ${call.failed ? "bad" : ""}`}>
      <button onClick={props.onChoose} aria-pressed={props.isChosen} aria-label={words} title={visible(call.link)}>
        <span class="call" style={{ paddingLeft: `${Math.min(depth, 24) * 12}px` }}>
          <b>{visible(call.service)}</b> <span class="request">{visible(call.request)}</span>
        </span>
        <span class={call.failed ? "status failed" : "status"}>{call.failed ? `✗ ${visible(call.status)}` : visible(call.status)}</span>
        <svg class="bar" viewBox={`0 0 ${WIDTH} 20`} preserveAspectRatio="none" aria-hidden="true">
          {call.at_ns === null ? (
            <rect class="unplaced" x={(WIDTH - x(call.ns)) / 2} y="6" width={Math.max(2, x(call.ns))} height="8" />
          ) : (
            <>
              {before > 0 && <rect class="kind-before" x={x(call.at_ns - before)} y="6" width={Math.max(1, x(before))} height="6" />}
              {pieces(head, call, children, props.slow[0] === number ? props.slow[1] : -1).map(({ kind, from, ns, isSlow }) => (
                <>
                  <rect class={`kind-${kind}`} x={x(from)} y="3" width={Math.max(kind === "server" ? 1.5 : 0, x(ns))} height="12" />
                  {isSlow && <rect class="slow" x={x(from)} y="0" width={Math.max(1.5, x(ns))} height="3" />}
                </>
              ))}
              {isCritical && <rect class="critical" x={x(call.at_ns)} y="17" width={Math.max(1.5, x(call.ns))} height="2.5" />}
              {call.bound_ns > 0 && (
                <path class="bound" d={`M${x(call.at_ns - call.bound_ns)},5 v8 M${x(call.at_ns - call.bound_ns)},9 H${x(call.at_ns + call.bound_ns)} M${x(call.at_ns + call.bound_ns)},5 v8`} vector-effect="non-scaling-stroke" />
              )}
            </>
          )}
        </svg>
        <span class="number">{seen(call.ns, call.at_least)}</span>
        <span class="marks">
          {props.cost !== undefined && <span class="failed" title={`What the finding cost here: ${duration(props.cost)}`}>⚑ {props.cost > 0 ? duration(props.cost) : ""}</span>}
          {props.slow[0] === number && <span class="slowest">◀ slowest part</span>}
          {again > 0 && <span class="failed" title={plural(again, "segment") + " sent again"}>↻{again}</span>}
          {missing > 0 && <span title={`${bytes(missing)} of it were not captured at some point: its times there are of what was`}>gap</span>}
          {call.missing.length > 0 && <span class="failed" title={call.missing.map(visible).join("; ")}>lost</span>}
          {call.confidence !== null && call.confidence < 0.9 && <span title={visible(call.link)}>?</span>}
        </span>
      </button>
    </li>
  );
}

function CallDetails({ head, call, slowHop, concerns }: { head: Head; call: Call; slowHop: number; concerns: string[] }) {
  const label = (span: number) => head.points[call.spans[span]?.[0] ?? -1] ?? "?";
  const most = Math.max(1, ...call.hops.map((hop) => ownOf(head, call, hop)));
  const isAnyAgain = call.spans.some((span) => span[5] > 0);
  const isAnyMissing = call.spans.some((span) => span[6] > 0);
  const isNothing = (hop: Hop) => hop[5] === 0 && (head.parts[hop[0]]?.name ?? "").endsWith("_transfer");
  return (
    <aside class="details" aria-live="polite">
      <h3>
        <Text>{call.client}</Text> → <Text>{call.service}</Text>: <Text>{call.request}</Text>
      </h3>
      <p>
        {call.protocol} · {visible(call.status)} ({call.state}) · {seen(call.ns, call.at_least)} · asked {bytes(call.bytes[0])}, answered {bytes(call.bytes[1])}
        {call.own_ns !== null && ` · the server's own ${duration(call.own_ns)}`}
        {call.bound_ns > 0 && ` · placed within ± ${duration(call.bound_ns)}`}
      </p>
      <p>
        <b>Why it stands under the call above it:</b> {visible(call.link)}
      </p>
      {call.critical_ns && (
        <p>
          {call.critical_ns[0] > 0
            ? `On the path that made the trace as long as it was, with ${duration(call.critical_ns[0])} of its own.`
            : `Beside that path: ${duration(call.critical_ns[2])} longer would have changed nothing.`}
        </p>
      )}
      {call.before.length > 0 && (
        <p>
          <b>Before it began:</b> {call.before.map(([part, ns, how]) => `${head.parts[part]?.words ?? "?"} ${how === "measured" ? "" : how === "at-least" ? "≥ " : "about "}${duration(ns)}`).join(", ")}
        </p>
      )}
      {call.missing.length > 0 && (
        <ul class="failed">
          {call.missing.map((line) => (
            <li>{visible(line)}</li>
          ))}
        </ul>
      )}
      {(call.spans[0]?.[6] ?? 0) > 0 && (
        <p>
          {visible(label(0))} did not capture {bytes(call.spans[0]?.[6] ?? 0)} of it.
        </p>
      )}
      {call.issues.length > 0 && <p>Doubts: {call.issues.join(", ")}</p>}
      {call.hops.length === 0 ? (
        <p>Points: {call.spans.map((_, i) => visible(label(i))).join(" → ")}. No hop could be measured.</p>
      ) : (
        <div class="scroll">
          <table>
            <caption class="hidden">Hops of this call</caption>
            <thead>
              <tr>
                <th scope="col">part</th>
                <th scope="col">where</th>
                <th scope="col" class="number">→</th>
                <th scope="col" class="number">←</th>
                <th scope="col" class="number">±</th>
                <th scope="col" class="number">both</th>
                <th scope="col"></th>
                {isAnyAgain && <th scope="col" class="number" title="Segments that were sent again, seen at its second point">sent again</th>}
                {isAnyMissing && <th scope="col" class="number" title="Bytes that its second point did not capture">not captured</th>}
              </tr>
            </thead>
            <tbody>
              {call.hops.map((hop, i) => {
                if (isNothing(hop)) return null;
                const [part, from, to, forward, back, total, bound, through] = hop;
                const own = ownOf(head, call, hop);
                const again = from === to ? 0 : (call.spans[to]?.[5] ?? 0);
                const missing = from === to ? 0 : (call.spans[to]?.[6] ?? 0);
                const isBlamed = from !== to && concerns.includes(label(from)) && concerns.includes(label(to));
                return (
                  <tr class={i === slowHop || isBlamed ? "slowest" : ""}>
                    <td>
                      <svg width="10" height="10" aria-hidden="true">
                        <rect class={`kind-${kindOf(head, hop)}`} width="10" height="10" rx="2" />
                      </svg>{" "}
                      {through ? "through" : head.parts[part]?.words}
                      {i === slowHop && " ◀ slowest part"}
                      {isBlamed && " ⚑"}
                    </td>
                    <td><Text>{from === to ? label(from) : `${label(from)} → ${label(to)}`}</Text></td>
                    <td class="number">{known(forward)}</td>
                    <td class="number">{known(back)}</td>
                    <td class="number">{forward === null && back === null ? "" : bound === null ? "clocks" : bound === 0 ? "" : duration(bound)}</td>
                    <td class="number">{own < total ? `${duration(total)}, own ${duration(own)}` : duration(total)}</td>
                    <td class="bar">
                      <svg class="split" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">
                        <rect class={`kind-${kindOf(head, hop)}`} width={(100 * Math.max(0, own)) / most} height="6" />
                      </svg>
                    </td>
                    {isAnyAgain && <td class={again > 0 ? "number failed" : "number"}>{again > 0 ? again : ""}</td>}
                    {isAnyMissing && <td class={missing > 0 ? "number failed" : "number"}>{missing > 0 ? bytes(missing) : ""}</td>}
                  </tr>
                );
              })}
            </tbody>
          </table>
        </div>
      )}
    </aside>
  );
}
