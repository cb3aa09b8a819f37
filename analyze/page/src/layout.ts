// Where services stand on the map: ranks from who asks to who answers, laid out by dagre.

import { graphlib, layout } from "@dagrejs/dagre";
import type { Edge, Head, Service } from "./data";

export const NODE = { width: 156, height: 58 };

/** Room for what stands on a line: what lies between, how long it takes, what failed. */
const LABEL = { width: 60, height: 34 };

export interface Placed {
  service: Service;
  x: number;
  y: number;
}

/** Calls between two services, of all protocols. */
export interface Line {
  from: string;
  to: string;
  edges: Edge[];
  n: number;
  n_failed: number;
  n_open: number;
  /** Of the protocol that most of them speak. */
  main: Edge;
  points: [number, number][];
  /** Where its label has room. */
  label: [number, number];
}

export interface Layout {
  nodes: Map<string, Placed>;
  lines: Line[];
  width: number;
  height: number;
}

export function laidOut(map: Head["map"]): Layout {
  const graph = new graphlib.Graph();
  graph.setGraph({ rankdir: "LR", nodesep: 22, edgesep: 10, ranksep: 22, marginx: 16, marginy: 16 });
  graph.setDefaultEdgeLabel(() => ({}));
  map.services.forEach((_, number) => graph.setNode(String(number), { ...NODE }));
  const numbers = new Map(map.services.map((service, number) => [service.name, String(number)]));
  const lines = new Map<string, Line>();
  for (const edge of map.edges) {
    const key = `${numbers.get(edge.from)} ${numbers.get(edge.to)}`;
    const line = lines.get(key);
    if (!line) {
      const { from, to, n, n_failed, n_open } = edge;
      lines.set(key, { from, to, edges: [edge], n, n_failed, n_open, main: edge, points: [], label: [0, 0] });
      continue;
    }
    line.edges.push(edge);
    line.n += edge.n;
    line.n_failed += edge.n_failed;
    line.n_open += edge.n_open;
    if (edge.n > line.main.n) line.main = edge;
  }
  for (const line of lines.values()) {
    const [from, to] = [numbers.get(line.from), numbers.get(line.to)];
    if (from !== undefined && to !== undefined) graph.setEdge(from, to, { ...LABEL, labelpos: "c" });
  }
  layout(graph);
  const nodes = new Map<string, Placed>();
  map.services.forEach((service, number) => {
    const { x, y } = graph.node(String(number));
    nodes.set(service.name, { service, x, y });
  });
  for (const line of lines.values()) {
    const [from, to] = [numbers.get(line.from), numbers.get(line.to)];
    const edge = from === undefined || to === undefined ? undefined : graph.edge(from, to);
    line.label = [edge?.x ?? 0, edge?.y ?? 0];
    line.points = (edge?.points ?? []).map(({ x, y }: { x: number; y: number }) => [x, y]);
  }
  const { width = 0, height = 0 } = graph.graph();
  return { nodes, lines: [...lines.values()], width, height };
}

/** A smooth path through points. */
export function smooth(points: [number, number][]): string {
  const [first, ...rest] = points;
  if (!first) return "";
  let path = `M${first[0]},${first[1]}`;
  let [x, y] = first;
  rest.forEach(([toX, toY]) => {
    const middle = (x + toX) / 2;
    path += ` C${middle},${y} ${middle},${toY} ${toX},${toY}`;
    [x, y] = [toX, toY];
  });
  return path;
}

/** So many pieces of a straight line stand for each curve of a smooth path. */
const PIECES = 12;

/** Points on the smooth path, close enough together for straight lines between them. */
function traced(points: [number, number][]): [number, number][] {
  const [first] = points;
  if (!first) return [];
  const found: [number, number][] = [first];
  points.slice(1).forEach(([toX, toY], i) => {
    const [x, y] = points[i] ?? first;
    for (let piece = 1; piece <= PIECES; piece++) {
      // Bézier with both handles in the middle of x, as `smooth` draws it.
      const t = piece / PIECES;
      const middle = (x + toX) / 2;
      const [a, b, c, d] = [(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t ** 3];
      found.push([a * x + (b + c) * middle + d * toX, (a + b) * y + (c + d) * toY]);
    }
  });
  return found;
}

/** The point at this part (0 to 1) of a smooth way. */
export function along(way: [number, number][], part: number): [number, number] {
  const points = traced(way);
  const lengths = points.slice(1).map((point, i) => {
    const before = points[i] ?? point;
    return Math.hypot(point[0] - before[0], point[1] - before[1]);
  });
  let left = lengths.reduce((sum, length) => sum + length, 0) * Math.min(1, Math.max(0, part));
  for (const [i, length] of lengths.entries()) {
    const [from, to] = [points[i], points[i + 1]];
    if (!from || !to) break;
    if (left <= length && length > 0) {
      const share = left / length;
      return [from[0] + (to[0] - from[0]) * share, from[1] + (to[1] - from[1]) * share];
    }
    left -= length;
  }
  return points[points.length - 1] ?? [0, 0];
}
