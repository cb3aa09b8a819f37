// Small pieces that several views use.

import type { ComponentChildren } from "preact";
import type { Kind, Percentiles, Severity } from "./data";
import { duration, visible } from "./words";

/** Text of a recording: shown whole in its title, cut by the style where there is no room. */
export function Text({ children, className }: { children: string; className?: string }) {
  const text = visible(children);
  return (
    <span class={className ? `text ${className}` : "text"} title={text}>
      {text}
    </span>
  );
}

const SEVERITY: Record<Severity, string> = { fail: "failure", warn: "warning", pass: "to know" };

export function Badge({ severity }: { severity: Severity }) {
  return <span class={`badge ${severity}`}>{SEVERITY[severity]}</span>;
}

export function Percentile({ of, at }: { of: Percentiles | null; at: "p50" | "p90" | "p99" | "max" }) {
  if (!of) return <>–</>;
  const isLower = of.lower_bounds.includes(at);
  return <>{(isLower ? "≥ " : "") + duration(of[`${at}_ns`])}</>;
}

export interface Part {
  kind: Kind | "waiting";
  ns: number;
}

export const KINDS: Record<Part["kind"], string> = {
  network: "network",
  forwarding: "inside gateways and bridges",
  server: "own work",
  waiting: "waiting for further calls",
  before: "before it began",
  queue: "in sockets, unread or unsent",
};

/** A bar whose parts are as long as what they stand for, with words for who can't see it. */
export function Split({ parts, label }: { parts: Part[]; label: string }) {
  const whole = parts.reduce((sum, part) => sum + Math.max(0, part.ns), 0);
  const words = parts.map((part) => `${KINDS[part.kind]} ${duration(part.ns)}`).join(", ");
  let at = 0;
  return (
    <svg class="split" viewBox="0 0 100 6" preserveAspectRatio="none" role="img" aria-label={`${label}: ${words}`}>
      <title>{words}</title>
      {parts.map((part) => {
        const width = whole > 0 ? (100 * Math.max(0, part.ns)) / whole : 0;
        at += width;
        return <rect class={`kind-${part.kind}`} x={at - width} y="0" width={width} height="6" />;
      })}
    </svg>
  );
}

export function Legend({ kinds }: { kinds: Part["kind"][] }) {
  return (
    <p class="legend">
      {kinds.map((kind) => (
        <span>
          <svg width="12" height="12" aria-hidden="true">
            <rect class={`kind-${kind}`} width="12" height="12" rx="2" />
          </svg>{" "}
          {KINDS[kind]}
        </span>
      ))}
    </p>
  );
}

export function Panel(props: { title: string; about?: string | undefined; children: ComponentChildren; className?: string }) {
  return (
    <section class={`panel ${props.className ?? ""}`}>
      <h2>{props.title}</h2>
      {props.about && <p class="about">{props.about}</p>}
      {props.children}
    </section>
  );
}

/** Whether a key was meant for the page, not for a field that is being written in. */
export function isForPage(event: KeyboardEvent): boolean {
  const target = event.target as HTMLElement | null;
  const isField = target !== null && ["INPUT", "SELECT", "TEXTAREA"].includes(target.tagName);
  return !isField && !event.ctrlKey && !event.metaKey && !event.altKey;
}
