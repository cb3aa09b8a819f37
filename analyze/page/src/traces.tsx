// The list of traces, with filters. Keys: / to search, ↑ ↓ to move, Enter to open.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Head, Row } from "./data";
import { isForPage, Panel, Text } from "./pieces";
import { address, go, replace, usePlace } from "./place";
import { count, duration, plural, seen, share, visible, Zone } from "./words";

/** Rows that are drawn at once: more come when they are asked for. */
const STEP = 200;

type Order = "slowest" | "time";

export function Traces({ head, zone }: { head: Head; zone: Zone }) {
  const { search } = usePlace();
  const [order, setOrder] = useState<Order>("slowest");
  const [n, setN] = useState(STEP);
  const [at, setAt] = useState(0);
  const field = useRef<HTMLInputElement>(null);
  const table = useRef<HTMLTableElement>(null);
  const asked = { q: search.get("q") ?? "", failed: search.get("failed") ?? "", slow: search.get("slow") ?? "", blamed: search.get("blamed") ?? "", over: search.get("over") ?? "" };
  const ask = (more: Partial<typeof asked>) => {
    setN(STEP);
    setAt(0);
    replace(address("traces", "", { ...asked, ...more }));
  };
  const shown = useMemo(() => chosen(head, asked, order), [head, order, search.toString()]);
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if (!isForPage(event)) return;
      if (event.key === "/") field.current?.focus();
      else if (event.key === "ArrowDown" || event.key === "j") setAt((now) => Math.min(now + 1, Math.min(shown.length, n) - 1));
      else if (event.key === "ArrowUp" || event.key === "k") setAt((now) => Math.max(now - 1, 0));
      else if (event.key === "Enter" && document.activeElement === document.body) {
        const row = shown[at];
        if (row) go(address("trace", row.id));
      } else return;
      event.preventDefault();
    };
    window.addEventListener("keydown", pressed);
    return () => window.removeEventListener("keydown", pressed);
  }, [shown, at, n]);
  useEffect(() => {
    table.current?.querySelector(".chosen")?.scrollIntoView({ block: "nearest" });
  }, [at]);
  const longest = Math.max(1, ...shown.map((row) => row.ns));
  const finding = asked.blamed === "" ? undefined : head.told.findings[Number(asked.blamed)];
  return (
    <Panel title="Traces">
      {head.traces.length < head.n_traces && (
        <p class="note">
          This page holds {count(head.traces.length)} of {count(head.n_traces)} traces: those that failed, were slow or show a finding best, and an even share of the others. All else on this page is of all of them; <code>afterpath report --traces N</code> holds more.
        </p>
      )}
      <p class="controls">
        <label>
          Search <input ref={field} type="search" value={asked.q} placeholder="request, service, id" onInput={(event) => ask({ q: event.currentTarget.value })} />
        </label>
        <label>
          <input type="checkbox" checked={asked.failed !== ""} onChange={(event) => ask({ failed: event.currentTarget.checked ? "1" : "" })} /> failed
        </label>
        <label>
          <input type="checkbox" checked={asked.slow !== ""} onChange={(event) => ask({ slow: event.currentTarget.checked ? "1" : "" })} /> slow
        </label>
        <label>
          longer than <input class="short" type="number" min="0" value={asked.over} onInput={(event) => ask({ over: event.currentTarget.value })} /> ms
        </label>
        <label>
          Blamed on{" "}
          <select value={asked.blamed} onChange={(event) => ask({ blamed: event.currentTarget.value })}>
            <option value="">anything, or nothing</option>
            {head.told.findings.map((found, number) => (
              <option value={String(number)}>{`${found.class}: ${visible(found.culprit)}`}</option>
            ))}
          </select>
        </label>
        <label>
          Order{" "}
          <select value={order} onChange={(event) => setOrder(event.currentTarget.value as Order)}>
            <option value="slowest">slowest first</option>
            <option value="time">by time</option>
          </select>
        </label>
      </p>
      <p role="status">
        {plural(shown.length, "trace")}
        {finding ? ` blamed on ${visible(finding.culprit)}` : ""}
      </p>
      <div class="scroll">
        <table ref={table} class="traces">
          <caption class="hidden">Traces</caption>
          <thead>
            <tr>
              <th scope="col">begin ({zone.name()})</th>
              <th scope="col">request</th>
              <th scope="col">service</th>
              <th scope="col">status</th>
              <th scope="col" class="number">duration</th>
              <th scope="col"></th>
              <th scope="col" class="number">calls</th>
              <th scope="col">largest part</th>
              <th scope="col">main cause</th>
            </tr>
          </thead>
          <tbody>
            {shown.slice(0, n).map((row, number) => (
              <tr class={`${number === at ? "chosen" : ""} ${row.slow ? "slow" : ""}`} onClick={() => go(address("trace", row.id))}>
                <td>{zone.time(row.at_ns)}</td>
                <td class="wide">
                  <a href={address("trace", row.id)}><Text>{row.request}</Text></a>
                </td>
                <td><Text>{row.service}</Text></td>
                <td class={row.n_failed > 0 ? "failed" : ""}>
                  {row.n_failed > 0 ? `✗ ${visible(row.status)}` : visible(row.status)}
                  {row.n_failed > 1 ? ` (${row.n_failed} calls)` : ""}
                </td>
                <td class="number">{seen(row.ns, row.at_least)}</td>
                <td class="bar">
                  <svg class="split" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">
                    <rect class={row.slow ? "slow" : "plain"} width={(100 * row.ns) / longest} height="6" />
                  </svg>
                </td>
                <td class="number">
                  {count(row.n_calls)}
                  {row.least_sure !== null && row.least_sure < 0.9 && <span title={`Its least sure link: ${row.least_sure.toFixed(2)}`}> ?</span>}
                </td>
                <td class="wide">
                  {row.place && (
                    <>
                      {row.at_least ? duration(row.place_ns) : share(row.place_ns, row.ns)} <Text>{row.place}</Text>
                    </>
                  )}
                </td>
                <td class="wide">
                  <Cause head={head} row={row} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {shown.length > n && (
        <p>
          <button onClick={() => setN(n + STEP)}>{`Show ${count(Math.min(STEP, shown.length - n))} more of ${count(shown.length - n)}`}</button>
        </p>
      )}
    </Panel>
  );
}

/** What a slow or failed trace is mainly blamed on. */
function Cause({ head, row }: { head: Head; row: Row }) {
  const finding = row.finding === null ? undefined : head.told.findings[row.finding];
  if (finding) return <Text>{`${finding.class}: ${finding.culprit}`}</Text>;
  return <>{row.slow || row.n_failed > 0 ? "none found" : ""}</>;
}

function chosen(head: Head, asked: Record<string, string>, order: Order): Row[] {
  const words = (asked.q ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  const over = Number(asked.over ?? "") * 1e6;
  const matches = (row: Row) => {
    const text = `${row.request} ${row.route} ${row.service} ${row.client} ${row.status} ${row.id} ${row.protocol} ${row.place}`.toLowerCase();
    return (
      words.every((word) => text.includes(word)) &&
      (!asked.failed || row.n_failed > 0) &&
      (!asked.slow || row.slow) &&
      (!asked.blamed || row.finding === Number(asked.blamed)) &&
      (!over || row.ns > over)
    );
  };
  const rows = head.traces.filter(matches);
  return order === "time" ? rows.sort((a, b) => a.at_ns - b.at_ns) : rows.sort((a, b) => b.ns - a.ns);
}
