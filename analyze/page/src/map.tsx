// The map: services with rate, errors and duration, who calls whom, and what lies between: gateways and bridges as what they are.

import type { ComponentChildren } from "preact";
import { useEffect, useMemo } from "preact/hooks";
import type { Edge, Head, Passed } from "./data";
import { along, laidOut, type Layout, type Line, NODE, smooth } from "./layout";
import { KINDS, Legend, Panel, type Part, Percentile, Split, Text } from "./pieces";
import { address, go, replace, usePlace } from "./place";
import { count, duration, fit, plural, rate, share } from "./words";

const ROLES = { client: "client", service: "service", proxy: "proxy", store: "store", broker: "queue" };

export function splitOf(edges: Edge[]): Part[] {
  const kinds: Part["kind"][] = ["network", "forwarding", "server", "waiting"];
  return kinds.map((kind, i) => ({ kind, ns: edges.reduce((sum, edge) => sum + (edge.split_ns[i] ?? 0), 0) }));
}

/** What most calls of a line pass, by the busiest protocol. */
function Between({ way, points, marked }: { way: Passed[]; points: [number, number][]; marked: Set<string> }) {
  return (
    <>
      {way.map((passed, i) => {
        const [x, y] = along(points, (i + 1) / (way.length + 1));
        return (
          <g class={`passed ${passed.kind} ${marked.has(passed.name) ? "blamed" : ""}`} transform={`translate(${x},${y})`}>
            <title>{`${passed.kind} ${passed.name}`}</title>
            {passed.kind === "gateway" ? <path d="M-7,0 L-3.5,-6 L3.5,-6 L7,0 L3.5,6 L-3.5,6 Z" /> : <rect x="-5" y="-3" width="10" height="6" rx="1" />}
            {passed.kind === "gateway" && <text y="-9">{fit(passed.name, 16)}</text>}
          </g>
        );
      })}
    </>
  );
}

export function MapLines(props: { layout: Layout; marked: Set<string>; chosen?: Line | undefined; onChoose?: (line: Line) => void; plain?: boolean }) {
  const most = Math.max(1, ...props.layout.lines.map((line) => line.n));
  return (
    <>
      {props.layout.lines.map((line) => {
        const width = 1 + 3 * Math.sqrt(line.n / most);
        const isBad = line.n_failed > 0;
        const words = `${line.from} to ${line.to}: ${plural(line.n, "call")}, ${count(line.n_failed)} failed, p99 ${duration(line.main.duration?.p99_ns ?? 0)}`;
        const path = smooth(line.points);
        const [x, y] = line.label;
        const choose = () => props.onChoose?.(line);
        return (
          <g
            class={`line ${isBad ? "bad" : ""} ${props.chosen === line ? "chosen" : ""}`}
            role={props.onChoose ? "button" : undefined}
            tabIndex={props.onChoose ? 0 : undefined}
            aria-label={words}
            aria-pressed={props.onChoose ? props.chosen === line : undefined}
            onClick={choose}
            onKeyDown={(event) => (event.key === "Enter" || event.key === " ") && (event.preventDefault(), choose())}
          >
            <title>{words}</title>
            <path class="wide" d={path} />
            <path class="thin" d={path} stroke-width={width} marker-end="url(#arrow)" />
            <Between way={line.main.way} points={line.points} marked={props.marked} />
            {!props.plain && (
              <text class="label" x={x} y={y + 14}>
                {line.main.duration && line.main.duration.p50_ns > 0 ? duration(line.main.duration.p50_ns) : ""}
                {isBad && (
                  <tspan class="failed" x={x} dy="12">
                    ✗ {share(line.n_failed, line.n)}
                  </tspan>
                )}
              </text>
            )}
          </g>
        );
      })}
    </>
  );
}

export function MapNodes(props: { layout: Layout; marked: Set<string>; chosen?: string; onChoose?: (name: string) => void; busy?: Map<string, number> }) {
  return (
    <>
      {[...props.layout.nodes.values()].map(({ service, x, y }) => {
        const choose = () => props.onChoose?.(service.name);
        const failed = service.n_failed > 0 ? `, ${share(service.n_failed, service.n)} failed` : "";
        const own = service.own_share > 0 ? `, own work ${share(service.own_share, 1)} of all traces' time` : "";
        const words = `${ROLES[service.role]} ${service.name} (${service.protocols.join(", ") || "asks only"}): ${plural(service.n, "call")}${failed}${own}`;
        const isBusy = (props.busy?.get(service.name) ?? 0) > 0;
        const marks = [service.role, props.marked.has(service.name) ? "blamed" : "", service.n_failed > 0 ? "bad" : "", isBusy ? "busy" : "", props.chosen === service.name ? "chosen" : ""];
        return (
          <g
            class={`node ${marks.join(" ")}`}
            transform={`translate(${x - NODE.width / 2},${y - NODE.height / 2})`}
            role={props.onChoose ? "button" : undefined}
            tabIndex={props.onChoose ? 0 : undefined}
            aria-label={words}
            onClick={choose}
            onKeyDown={(event) => (event.key === "Enter" || event.key === " ") && (event.preventDefault(), choose())}
          >
            <title>{words}</title>
            <rect width={NODE.width} height={NODE.height} rx={service.role === "store" ? 18 : service.role === "proxy" ? 2 : 8} />
            <text class="name" x="10" y="19">
              {fit(service.name, 16)}
            </text>
            <text class="role" x={NODE.width - 10} y={NODE.height - 8}>
              {ROLES[service.role]}
            </text>
            {service.n > 0 && (
              <>
                <text class="red" x="10" y="35">
                  {rate(service.per_second)}
                  {service.duration && service.duration.p99_ns > 0 ? (
                    <>
                      {" "}
                      · p99 <Percentile of={service.duration} at="p99" />
                    </>
                  ) : (
                    " · one-way"
                  )}
                </text>
                <text class={service.n_failed > 0 ? "red failed" : "red"} x="10" y="50">
                  {share(service.n_failed, service.n)} failed
                </text>
              </>
            )}
          </g>
        );
      })}
    </>
  );
}

export function Frame({ layout, children, label }: { layout: Layout; children: ComponentChildren; label: string }) {
  if (layout.nodes.size === 0) return <p>No call was seen.</p>;
  return (
    <div class="scroll">
      <svg class="map" viewBox={`0 0 ${layout.width} ${layout.height}`} style={{ minWidth: `${Math.min(layout.width, Math.max(900, layout.width * 0.8))}px`, maxHeight: `${Math.max(260, layout.height * 1.1)}px` }} role="group" aria-label={label}>
        <defs>
          <marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" markerUnits="userSpaceOnUse" orient="auto">
            <path d="M0,0 L8,4 L0,8 Z" />
          </marker>
        </defs>
        {children}
      </svg>
    </div>
  );
}

export function marked(head: Head): Set<string> {
  const worst = head.told.findings[0];
  return new Set(worst && worst.severity !== "pass" ? worst.concerns.filter((name) => name !== "") : []);
}

export function ServiceMap({ head }: { head: Head }) {
  // A map that is wider than the window begins where the blame is.
  useEffect(() => {
    document.querySelector(".map .blamed")?.scrollIntoView({ block: "nearest", inline: "center" });
  }, [head]);
  const layout = useMemo(() => laidOut(head.map), [head]);
  const { search } = usePlace();
  const chosen = layout.lines.find((line) => line.from === search.get("from") && line.to === search.get("to"));
  const onChoose = (line: Line) => replace(address("map", "", line === chosen ? {} : { from: line.from, to: line.to }));
  return (
    <Panel title="Who calls whom" about="Boxes are services: requests a second, 99th percentile as they answer, share that failed. Lines are calls, with their median as whoever asks sees it; ⬡ is a gateway that passes bytes on, ▭ a bridge or host on the way. A thin red edge: some of it failed. Filled red, or a red gateway: what the verdict blames. Choose a line for its parts, a box for its traces.">
      <Frame layout={layout} label="Map of services">
        <MapLines layout={layout} marked={marked(head)} chosen={chosen} onChoose={onChoose} />
        <MapNodes layout={layout} marked={marked(head)} onChoose={(name) => go(address("traces", "", { q: name }))} />
      </Frame>
      {chosen && <LineDetails line={chosen} />}
      <Legend kinds={["network", "forwarding", "server", "waiting"]} />
      <EdgeTable head={head} />
    </Panel>
  );
}

function LineDetails({ line }: { line: Line }) {
  return (
    <aside class="details" aria-live="polite">
      <h3>
        <Text>{line.from}</Text> → <Text>{line.to}</Text>
      </h3>
      {line.edges.map((edge) => (
        <div>
          <p>
            <b>{edge.protocol}</b> · {plural(edge.n, "call")} · {share(edge.n_failed, edge.n)} failed · {share(edge.n_open, edge.n)} open · p50{" "}
            <Percentile of={edge.duration} at="p50" /> · p99 <Percentile of={edge.duration} at="p99" />
          </p>
          <Split parts={splitOf([edge])} label="Where its calls' time went" />
          <p class="about">
            {splitOf([edge]).map((part, i, all) => (
              <span>
                {i > 0 && " · "}
                {KINDS[part.kind]} {share(part.ns, all.reduce((sum, { ns }) => sum + ns, 0))}
              </span>
            ))}
          </p>
          <p class="about">
            {edge.way.length === 0 ? "Nothing was observed in between." : `Passes ${edge.way.map((p) => `${p.kind} ${p.name}`).join(", then ")} (${share(edge.n_way, edge.n)} of its calls).`}
          </p>
        </div>
      ))}
      <p>
        <a href={address("hops", "", { from: line.from, to: line.to })}>Every hop of this way →</a>
      </p>
    </aside>
  );
}

function EdgeTable({ head }: { head: Head }) {
  const time = (edge: Edge) => edge.split_ns.reduce((sum, ns) => sum + ns, 0);
  const sorted = [...head.map.edges].sort((a, b) => time(b) - time(a));
  return (
    <div class="scroll">
      <table>
        <caption class="hidden">Calls between services, those that took most time first</caption>
        <thead>
          <tr>
            <th scope="col">from</th>
            <th scope="col">to</th>
            <th scope="col">protocol</th>
            <th scope="col" class="number">calls</th>
            <th scope="col" class="number">failed</th>
            <th scope="col" class="number">p50</th>
            <th scope="col" class="number">p99</th>
            <th scope="col">where the time went</th>
          </tr>
        </thead>
        <tbody>
          {sorted.map((edge) => (
            <tr>
              <td><a href={address("map", "", { from: edge.from, to: edge.to })}><Text>{edge.from}</Text></a></td>
              <td><Text>{edge.to}</Text></td>
              <td>{edge.protocol}</td>
              <td class="number">{count(edge.n)}</td>
              <td class={edge.n_failed > 0 ? "number failed" : "number"}>{share(edge.n_failed, edge.n)}</td>
              <td class="number"><Percentile of={edge.duration} at="p50" /></td>
              <td class="number"><Percentile of={edge.duration} at="p99" /></td>
              <td class="bar"><Split parts={splitOf([edge])} label="parts" /></td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
