// What all traces waited for, as a flame graph: widths are time, and sum up.

import { hierarchy, type HierarchyRectangularNode, partition } from "d3-hierarchy";
import { useMemo, useState } from "preact/hooks";
import type { Frame, Head } from "./data";
import { Panel } from "./pieces";
import { duration, fit, plural, share, visible } from "./words";

const WIDTH = 1200;
const ROW = 24;

type Node = HierarchyRectangularNode<Frame>;

const nameOf = ({ service, request }: Frame) => (service ? `${service} ${request}` : request || "all traces");

/** The same service, the same colour; as far apart as so many can be (the golden angle between each and the next). */
function hues(head: Head): (service: string) => number {
  const numbers = new Map(head.map.services.map(({ name }, number) => [name, number]));
  return (service) => ((numbers.get(service) ?? 0) * 137.5) % 360;
}

/** As much of a frame's name as there is room for: where the request has none, the service alone. */
function label(frame: Frame, room: number): string {
  const whole = visible(nameOf(frame));
  if (whole.length <= room || room >= 28) return fit(whole, room);
  return fit(frame.service || whole, room);
}

/** Services are named beside the graph whose own work is this share of all, and so many at most. */
const SHOWN = 0.001;
const NAMED = 12;

/** Whose own work it is, by colour, the most first. */
function Services({ frame, hue }: { frame: Frame; hue: (service: string) => number }) {
  const own = new Map<string, number>();
  const add = ({ service, own_ns, children }: Frame) => {
    if (service) own.set(service, (own.get(service) ?? 0) + own_ns);
    children.forEach(add);
  };
  add(frame);
  const sorted = [...own].filter(([, ns]) => ns >= SHOWN * frame.ns).sort((a, b) => b[1] - a[1]);
  return (
    <p class="legend">
      <b>Own work:</b>
      {sorted.slice(0, NAMED).map(([service, ns]) => (
        <span>
          <svg width="12" height="12" aria-hidden="true">
            <rect width="12" height="12" rx="2" style={{ fill: `hsl(${hue(service)} var(--flame))` }} />
          </svg>{" "}
          {visible(service)} {share(ns, frame.ns)}
        </span>
      ))}
      {sorted.length > NAMED && <span>{plural(sorted.length - NAMED, "more service")}</span>}
    </p>
  );
}

export function Flame({ head }: { head: Head }) {
  const root = useMemo(() => {
    const tree = hierarchy(head.flame, (frame) => frame.children);
    // Widths are what the frames say: what is left of one beside its children is its own.
    tree.sum(() => 0).each((node) => Object.assign(node, { value: node.data.ns }));
    return partition<Frame>().size([1, tree.height + 1])(tree);
  }, [head]);
  const hue = useMemo(() => hues(head), [head]);
  const [zoomed, setZoomed] = useState<Node>(root);
  const scale = WIDTH / Math.max(1e-9, zoomed.x1 - zoomed.x0);
  const shown = root.descendants().filter((node) => node.x1 > zoomed.x0 && node.x0 < zoomed.x1 && (node.x1 - node.x0) * scale > 0.5);
  const whole = root.data.ns;
  return (
    <Panel title="What traces waited for" about="Each frame is a call by its service and request, under the call that made it. As wide as the time that traces spent on it: only what was waited for counts, so widths sum up to all traces' time. The same colour is the same service; what no frame below covers is its own. Choose a frame to enlarge it, the topmost to go back.">
      {whole === 0 ? (
        <p>No trace's time is known.</p>
      ) : (
        <>
          <Services frame={head.flame} hue={hue} />
          <p role="status">
            <b>{visible(nameOf(zoomed.data))}</b> · {duration(zoomed.data.ns)} = {share(zoomed.data.ns, whole)} of all traces' time · {plural(zoomed.data.n, zoomed === root ? "trace" : "call")}
            {zoomed !== root && ` · own work ${share(zoomed.data.own_ns, zoomed.data.ns)} · on the way ${share(zoomed.data.way_ns, zoomed.data.ns)}`}
          </p>
          <div class="scroll">
            <svg class="flame" viewBox={`0 0 ${WIDTH} ${(root.height + 1) * ROW}`} role="group" aria-label="Flame graph">
              {shown.map((node) => {
                const x = Math.max(0, (node.x0 - zoomed.x0) * scale);
                const width = Math.min(WIDTH, (node.x1 - zoomed.x0) * scale) - x;
                const words = `${nameOf(node.data)}: ${duration(node.data.ns)}, ${share(node.data.ns, whole)} of all, ${plural(node.data.n, node === root ? "trace" : "call")}`;
                const choose = () => setZoomed(node);
                return (
                  <g
                    class="frame"
                    role="button"
                    tabIndex={0}
                    aria-label={words}
                    onClick={choose}
                    onKeyDown={(event) => (event.key === "Enter" || event.key === " ") && (event.preventDefault(), choose())}
                  >
                    <title>{words}</title>
                    <rect x={x} y={node.depth * ROW} width={Math.max(0.5, width - 1)} height={ROW - 2} rx="2" style={{ fill: node === root ? "var(--soft)" : `hsl(${hue(node.data.service)} var(--flame))` }} />
                    {width > 40 && (
                      <text x={x + 5} y={node.depth * ROW + 15}>
                        {label(node.data, Math.floor((width - 8) / 7.6))}
                      </text>
                    )}
                  </g>
                );
              })}
            </svg>
          </div>
        </>
      )}
    </Panel>
  );
}
