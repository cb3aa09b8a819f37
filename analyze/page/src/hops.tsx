// Latency by hop: every stretch of every way between two services, with the share not observed, and the chosen one by time and latency.

import { scaleLinear } from "d3-scale";
import { useMemo, useState } from "preact/hooks";
import type { Head, Stretch } from "./data";
import { Legend, Panel, Percentile, Text } from "./pieces";
import { address, replace, usePlace } from "./place";
import { count, duration, plural, share, visible, Zone } from "./words";

export function nameOf(head: Head, part: string): string {
  if (part === "waiting_for_calls") return "waiting for further calls";
  return head.parts.find((known) => known.name === part)?.words ?? part;
}

/** Whose time it is: what leads through one place is that place's. */
function kindOf(head: Head, { part, through }: Stretch["line"]): string {
  if (part === "waiting_for_calls") return "waiting";
  if (through) return "forwarding";
  return head.parts.find((known) => known.name === part)?.kind ?? "network";
}

function place({ line }: Stretch): string {
  const several = (name: string, n: number | undefined) => (n !== undefined && n > 1 ? `${name} (${count(n)} processes)` : name);
  const [from, to] = [several(line.from, line.n_points[0]), several(line.to, line.n_points[1])];
  return from === to ? from : `${from} → ${to}`;
}

type Order = "path" | "p99" | "way";

export function Hops({ head, zone }: { head: Head; zone: Zone }) {
  const { search } = usePlace();
  const [order, setOrder] = useState<Order>("path");
  const [from, to] = [search.get("from") ?? "", search.get("to") ?? ""];
  const shown = useMemo(() => {
    const all = head.hops.stretches.filter(({ line }) => (!from || line.client_service === from) && (!to || line.server_service === to));
    const key = ({ line }: Stretch) => (order === "p99" ? (line.total?.p99_ns ?? 0) : line.on_path_ns);
    return order === "way" ? all : [...all].sort((a, b) => key(b) - key(a));
  }, [head, from, to, order]);
  const chosen = shown[Number(search.get("hop") ?? 0)] ?? shown[0];
  const most = Math.max(1, ...shown.map(({ line }) => line.on_path_ns));
  const choose = (number: number) => replace(address("hops", "", { from, to, hop: String(number) }));
  return (
    <Panel title="Latency by hop" about="Every stretch between two points of observation, both directions together. “On traces' way”: how much of all traces' time was spent waiting for it. Percentiles are exact; “unseen” is the share of the calls in which this stretch was not observed, and is in no percentile.">
      <p class="controls">
        <label>
          Order{" "}
          <select value={order} onChange={(event) => (setOrder(event.currentTarget.value as Order), choose(0))}>
            <option value="path">by what traces waited for</option>
            <option value="p99">by 99th percentile</option>
            <option value="way">by way, in its order</option>
          </select>
        </label>{" "}
        {(from || to) && (
          <>
            only {visible(from)} → {visible(to)} <a href={address("hops")}>show all</a>
          </>
        )}
      </p>
      {chosen && <Heat head={head} stretch={chosen} zone={zone} />}
      <Legend kinds={["network", "forwarding", "queue", "server", "waiting", "before"]} />
      <div class="scroll">
        <table class="hops">
          <caption class="hidden">Hops</caption>
          <thead>
            <tr>
              <th scope="col">call</th>
              <th scope="col">part</th>
              <th scope="col">where</th>
              <th scope="col" class="number">n</th>
              <th scope="col" class="number">p50</th>
              <th scope="col" class="number">p90</th>
              <th scope="col" class="number">p99</th>
              <th scope="col" class="number">lost</th>
              <th scope="col" class="number">unseen</th>
              <th scope="col">on traces' way</th>
            </tr>
          </thead>
          <tbody>
            {shown.map((stretch, number) => {
              const { line } = stretch;
              return (
                <tr class={stretch === chosen ? "chosen" : ""}>
                  <td>
                    <button class="link" onClick={() => choose(number)} aria-pressed={stretch === chosen}>
                      {visible(line.client_service)} → {visible(line.server_service)} {line.protocol}
                    </button>
                  </td>
                  <td>
                    <svg width="10" height="10" aria-hidden="true">
                      <rect class={`kind-${kindOf(head, line)}`} width="10" height="10" rx="2" />
                    </svg>{" "}
                    {line.through ? "through" : nameOf(head, line.part)}
                  </td>
                  <td><Text>{place(stretch)}</Text></td>
                  <td class="number">{count(line.n_observed)}</td>
                  <td class="number"><Percentile of={line.total} at="p50" /></td>
                  <td class="number"><Percentile of={line.total} at="p90" /></td>
                  <td class="number"><Percentile of={line.total} at="p99" /></td>
                  <td class={line.n_lost > 0 ? "number failed" : "number"}>{line.n_lost > 0 ? count(line.n_lost) : ""}</td>
                  <td class="number">{line.not_observed_share === null ? "" : share(line.not_observed_share, 1)}</td>
                  <td class="bar">
                    <svg class="split" viewBox="0 0 100 6" preserveAspectRatio="none" role="img" aria-label={duration(line.on_path_ns)}>
                      <title>{duration(line.on_path_ns)}</title>
                      <rect class={`kind-${kindOf(head, line)}`} width={(100 * line.on_path_ns) / most} height="6" />
                    </svg>
                    {line.on_path_ns > 0 && duration(line.on_path_ns)}
                  </td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
    </Panel>
  );
}

const CELL = { width: 14, height: 12, left: 70, bottom: 22 };

/** How often which latency was seen when. */
function Heat({ head, stretch, zone }: { head: Head; stretch: Stretch; zone: Zone }) {
  const { column_ns, n_columns, rows_each_doubling } = head.hops;
  const rows = stretch.heat.map(([, row]) => row);
  const [low, high] = rows.length === 0 ? [20, 28] : [Math.min(...rows) - 2, Math.max(...rows) + 1];
  const height = (high - low + 1) * CELL.height;
  const width = n_columns * CELL.width;
  const most = Math.max(1, ...stretch.heat.map(([, , n]) => n));
  const strength = scaleLinear().domain([0, Math.log(most + 1)]).range([0.18, 1]);
  const latency = (row: number) => 2 ** (row / rows_each_doubling);
  const y = (row: number) => (high - row) * CELL.height;
  const ticks = [1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10].filter((ns) => ns >= latency(low) && ns <= latency(high + 1));
  const { line } = stretch;
  const unseen = line.not_observed_share ? `, ${share(line.not_observed_share, 1)} of the calls unseen` : "";
  const words = `${nameOf(head, line.part)} ${place(stretch)}: ${plural(line.n_observed, "time")} seen${unseen}`;
  return (
    <figure>
      <figcaption>
        <b>{nameOf(head, line.part)}</b> <Text>{place(stretch)}</Text> · {visible(line.client_service)} → {visible(line.server_service)} {line.protocol} · p50 <Percentile of={line.total} at="p50" /> · p99{" "}
        <Percentile of={line.total} at="p99" /> · {line.not_observed_share === null ? "" : `${share(line.not_observed_share, 1)} unseen`}
      </figcaption>
      <div class="scroll">
        <svg class="heat" viewBox={`0 0 ${CELL.left + width} ${height + CELL.bottom}`} role="img" aria-label={words}>
          <title>{words}</title>
          {ticks.map((ns) => {
            const at = y(Math.log2(ns) * rows_each_doubling) + CELL.height;
            return (
              <g class="tick">
                <line x1={CELL.left} x2={CELL.left + width} y1={at} y2={at} />
                <text x={CELL.left - 6} y={at + 4} class="end">
                  {duration(ns)}
                </text>
              </g>
            );
          })}
          {stretch.heat.map(([column, row, n]) => (
            <rect class="cell" x={CELL.left + column * CELL.width} y={y(row)} width={CELL.width - 1} height={CELL.height - 1} fill-opacity={strength(Math.log(n + 1))}>
              <title>{`${zone.time(column * column_ns)}: ${plural(n, "call")} of ${duration(latency(row))} to ${duration(latency(row + 1))}`}</title>
            </rect>
          ))}
          {[0, 15, 30, 45].map((column) => (
            <text class="tick" x={CELL.left + column * CELL.width} y={height + 15}>
              {zone.time(column * column_ns)}
            </text>
          ))}
        </svg>
      </div>
    </figure>
  );
}
