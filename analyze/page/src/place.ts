// Where in the page one is: what stands behind the `#` of its address, so that a link leads back to exactly this.

import { useEffect, useState } from "preact/hooks";

export interface Place {
  view: string;
  /** What of it: a trace's id. */
  of: string;
  search: URLSearchParams;
}

function here(): Place {
  const [path = "", search = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [view = "", of = ""] = path.split("/").map(decode);
  return { view: view || "verdict", of, search: new URLSearchParams(search) };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The address of a place. */
export function address(view: string, of = "", search: Record<string, string> = {}): string {
  const asked = new URLSearchParams(Object.entries(search).filter(([, value]) => value !== "")).toString();
  return `#/${view}${of ? `/${encodeURIComponent(of)}` : ""}${asked ? `?${asked}` : ""}`;
}

export function go(to: string): void {
  location.hash = to;
}

/** Changes the address without a step in the browser's history. */
export function replace(to: string): void {
  history.replaceState(null, "", to);
  window.dispatchEvent(new HashChangeEvent("hashchange"));
}

export function usePlace(): Place {
  const [place, set] = useState(here);
  useEffect(() => {
    const changed = () => set(here());
    window.addEventListener("hashchange", changed);
    return () => window.removeEventListener("hashchange", changed);
  }, []);
  return place;
}
