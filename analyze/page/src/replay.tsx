// Replay: one request, or a second of traffic, walks over the map. A dot is a call: on its line while bytes are on their way, in its box
// while the server works. Keys: space to play or stop, ← → to step.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { type Call, type Detail, type Head, readTrace } from "./data";
import { along, laidOut, type Layout } from "./layout";
import { Frame, MapLines, MapNodes } from "./map";
import { isForPage, Panel, Text } from "./pieces";
import { address, go, usePlace } from "./place";
import { slowest } from "./waterfall";
import { duration, fit, plural, seen, visible, Zone } from "./words";

/** A call with when it began on the page's time. */
interface Moving {
  call: Call;
  begin: number;
}

/** How long a replay takes to watch, seconds. */
const WATCHED = 8;
const SECOND = 1e9;
/** Traces that move at once, at most. */
const MOST = 400;

export function Replay({ head, zone }: { head: Head; zone: Zone }) {
  const { of, search } = usePlace();
  const place = head.traces.findIndex((row) => row.id === of);
  const row = head.traces[place];
  const from = Number(search.get("from") ?? 0);
  const [moving, setMoving] = useState<Moving[] | string>("");
  const [start, setStart] = useState(0);
  const window = row ? { begin: row.at_ns, ns: row.ns } : { begin: from, ns: SECOND };
  const places = useMemo(() => {
    if (row) return [place];
    const overlaps = head.traces.flatMap((other, i) => (other.at_ns < from + SECOND && other.at_ns + other.ns > from ? [i] : []));
    return overlaps.slice(0, MOST);
  }, [head, place, from]);
  useEffect(() => {
    let isWanted = true;
    setMoving("");
    const read = places.map((i) => readTrace(head, i));
    Promise.all(read).then(
      (all) => {
        if (!isWanted) return;
        const [only] = all;
        setStart(row && only ? whenSlowest(head, only) : 0);
        setMoving(all.flatMap((detail, i) => moves(head, places[i] ?? 0, detail)));
      },
      (error: unknown) => isWanted && setMoving(String(error)),
    );
    return () => {
      isWanted = false;
    };
  }, [places]);
  return (
    <Panel title={row ? `Replay of ${row.request}` : "Replay of a second of traffic"} about="A dot is a call: on its line while bytes are on their way, in its box while the server works on it or waits.">
      <p class="controls">
        {row ? (
          <>
            {seen(row.ns, row.at_least)} · <a href={address("trace", row.id)}>its waterfall</a> · <a href={address("replay", "", { from: String(Math.max(0, row.at_ns)) })}>all traffic of that second</a>
          </>
        ) : (
          <>
            <label>
              From{" "}
              <input type="range" min="0" max={Math.max(SECOND, head.length_ns)} step={SECOND / 10} value={from} aria-valuetext={zone.time(from)} onInput={(event) => go(address("replay", "", { from: event.currentTarget.value }))} />
            </label>{" "}
            {zone.exact(from)} · {plural(places.length, "trace")}
            {places.length === MOST && " (the first of them)"}
          </>
        )}
      </p>
      {typeof moving === "string" ? <p role="status">{moving || "Reading …"}</p> : <Player head={head} moving={moving} begin={window.begin} ns={Math.max(1, window.ns)} start={start} />}
    </Panel>
  );
}

/** When a trace's slowest part begins, since the trace did. */
function whenSlowest(head: Head, detail: Detail): number {
  const [number, at] = slowest(head, detail);
  const call = detail.calls[number];
  const hop = call?.hops[at];
  if (!call || !hop || call.at_ns === null) return 0;
  const span = call.spans[hop[1]];
  return Math.max(0, span?.[1] ?? call.at_ns);
}

function moves(head: Head, place: number, detail: Detail): Moving[] {
  const begin = head.traces[place]?.at_ns ?? 0;
  return detail.calls.flatMap((call) => (call.at_ns === null ? [] : [{ call, begin: begin + call.at_ns }]));
}

/** How far a call is at a moment: 0 to 1 on its way there, 1 in its server, back to 0; undefined when it is not under way. */
function progress({ call, begin }: Moving, at: number): { part: number; isInside: boolean } | undefined {
  const since = at - begin;
  if (since < 0 || since > call.ns) return undefined;
  const last = call.spans[call.spans.length - 1];
  const first = call.spans[0];
  const there = last?.[1] != null && first?.[1] != null ? Math.max(0, last[1] - first[1]) : 0;
  const back = last?.[1] != null && first?.[1] != null && last[3] !== null ? Math.max(there, last[1] - first[1] + last[3]) : call.ns;
  // What passed from point to point is followed; where no clock tells, a call is at its server all the time.
  if (since < there) {
    const passed = call.spans.filter((span) => span[1] !== null && span[1] - (first?.[1] ?? 0) <= since).length;
    return { part: passed / Math.max(1, call.spans.length), isInside: false };
  }
  if (since <= back) return { part: 1, isInside: true };
  return { part: 1 - (since - back) / Math.max(1, call.ns - back), isInside: false };
}

/** Stands at `start` until it is played or moved. */
function Player({ head, moving, begin, ns, start }: { head: Head; moving: Moving[]; begin: number; ns: number; start: number }) {
  const layout = useMemo(() => laidOut(head.map), [head]);
  const [at, setAt] = useState(start);
  const [isPlaying, setPlaying] = useState(false);
  const last = useRef(0);
  useEffect(() => setAt(start), [begin, ns, start]);
  // What is deepest under way where it begins is looked at, on a map that is wider than the window.
  useEffect(() => {
    document.querySelector(".map .dot:last-of-type")?.scrollIntoView({ block: "nearest", inline: "center" });
  }, [moving, start]);
  useEffect(() => {
    if (!isPlaying) return;
    let frame = 0;
    last.current = 0;
    const step = (time: number) => {
      const passed = last.current ? (time - last.current) / 1000 : 0;
      last.current = time;
      setAt((now) => {
        const next = now + (passed * ns) / WATCHED;
        if (next >= ns) setPlaying(false);
        return Math.min(ns, next);
      });
      frame = requestAnimationFrame(step);
    };
    frame = requestAnimationFrame(step);
    return () => cancelAnimationFrame(frame);
  }, [isPlaying, ns]);
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if (!isForPage(event)) return;
      if (event.key === " " && document.activeElement === document.body) setPlaying((now) => !now);
      else if (event.key === "ArrowRight") setAt((now) => Math.min(ns, now + ns / 100));
      else if (event.key === "ArrowLeft") setAt((now) => Math.max(0, now - ns / 100));
      else return;
      event.preventDefault();
    };
    globalThis.addEventListener("keydown", pressed);
    return () => globalThis.removeEventListener("keydown", pressed);
  }, [ns]);
  const now = moving.flatMap((each) => {
    const stands = progress(each, begin + at);
    return stands ? [{ each, stands }] : [];
  });
  const busy = new Map<string, number>();
  for (const { each, stands } of now) if (stands.isInside) busy.set(each.call.service, (busy.get(each.call.service) ?? 0) + 1);
  const play = () => {
    if (at >= ns) setAt(0);
    setPlaying(!isPlaying);
  };
  return (
    <>
      <p class="controls">
        <button onClick={play}>{isPlaying ? "Stop" : "Play"}</button>
        {start > 0 && (
          <>
            <button onClick={() => setAt(0)}>To its begin</button>
            <button onClick={() => setAt(start)}>To its slowest part</button>
          </>
        )}
        <input class="time" type="range" min="0" max={ns} step={ns / 1000} value={at} aria-label="Time" aria-valuetext={duration(at)} onInput={(event) => setAt(Number(event.currentTarget.value))} />
        <output>
          {duration(at)} of {duration(ns)}
        </output>
      </p>
      <Frame layout={layout} label="Map with the calls under way">
        <MapLines layout={layout} marked={new Set()} plain />
        <MapNodes layout={layout} marked={new Set()} busy={busy} />
        {now.map(({ each, stands }, i) => (
          <Dot layout={layout} moving={each} part={stands.part} isInside={stands.isInside} number={i} />
        ))}
      </Frame>
      <p role="status">{plural(now.length, "call")} under way</p>
      <ul class="underway">
        {now.slice(0, 12).map(({ each, stands }) => (
          <li>
            <Text>{each.call.client}</Text> → <Text>{each.call.service}</Text> {fit(each.call.request, 60)} · {stands.isInside ? "at the server" : "on its way"} · {seen(each.call.ns, each.call.at_least)}
            {each.call.failed && <span class="failed"> ✗ {visible(each.call.status)}</span>}
          </li>
        ))}
      </ul>
    </>
  );
}

function Dot({ layout, moving, part, isInside, number }: { layout: Layout; moving: Moving; part: number; isInside: boolean; number: number }) {
  const { client, service, failed } = moving.call;
  const line = layout.lines.find((line) => line.from === client && line.to === service);
  const node = layout.nodes.get(service);
  if (!node) return null;
  const spread = ((number % 9) - 4) * 7;
  const [x, y] = isInside || !line ? [node.x + spread, node.y + 20] : along(line.points, part);
  return <circle class={failed ? "dot bad" : "dot"} cx={x} cy={y} r="5" />;
}
