// The page: its head, its views, and what the address asks for.

import { render } from "preact";
import { useEffect } from "preact/hooks";
import { Clocks } from "./clocks";
import { type Head, readHead } from "./data";
import { Flame } from "./flame";
import { Guide } from "./guide";
import { Hops } from "./hops";
import { ServiceMap } from "./map";
import { isForPage } from "./pieces";
import { address, go, usePlace } from "./place";
import { Replay } from "./replay";
import { Traces } from "./traces";
import { Verdict } from "./verdict";
import { Trace } from "./waterfall";
import { duration, visible, Zone } from "./words";

const VIEWS: [string, string][] = [
  ["verdict", "Verdict"],
  ["map", "Map"],
  ["hops", "Hops"],
  ["traces", "Traces"],
  ["flame", "Flame"],
  ["replay", "Replay"],
  ["clocks", "Clocks & losses"],
  ["guide", "How to read this"],
];

function Page({ head }: { head: Head }) {
  const { view } = usePlace();
  const zone = new Zone(BigInt(head.begin_unix_ns), head.zone_minutes);
  const own = view === "trace" ? "traces" : view;
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      const wanted = VIEWS[Number(event.key) - 1];
      if (!isForPage(event)) return;
      if (wanted) go(address(wanted[0]));
      else if (event.key === "?") go(address("guide"));
      else if (event.key === "/" && view !== "traces") {
        go(address("traces"));
        requestAnimationFrame(() => requestAnimationFrame(() => document.querySelector<HTMLInputElement>("input[type=search]")?.focus()));
      } else return;
      event.preventDefault();
    };
    window.addEventListener("keydown", pressed);
    return () => window.removeEventListener("keydown", pressed);
  }, [view]);
  useEffect(() => window.scrollTo(0, 0), [view]);
  return (
    <>
      <header>
        <h1 title={visible(head.title)}>{visible(head.title)}</h1>
        <p>
          {zone.exact(0)}, {duration(head.length_ns)} recorded · {head.program}
        </p>
        <nav aria-label="Views">
          {VIEWS.map(([name, words]) => (
            <a href={address(name)} aria-current={name === own ? "page" : undefined}>
              {words}
            </a>
          ))}
        </nav>
      </header>
      <main>
        <View head={head} zone={zone} view={view} />
      </main>
    </>
  );
}

function View({ head, zone, view }: { head: Head; zone: Zone; view: string }) {
  switch (view) {
    case "map":
      return <ServiceMap head={head} />;
    case "hops":
      return <Hops head={head} zone={zone} />;
    case "traces":
      return <Traces head={head} zone={zone} />;
    case "trace":
      return <Trace head={head} zone={zone} />;
    case "flame":
      return <Flame head={head} />;
    case "replay":
      return <Replay head={head} zone={zone} />;
    case "clocks":
      return <Clocks head={head} />;
    case "guide":
      return <Guide head={head} />;
    default:
      return <Verdict head={head} />;
  }
}

const root = document.getElementById("page");
if (root) {
  readHead().then(
    (head) => {
      document.title = `${visible(head.title)} · afterpath`;
      root.replaceChildren();
      render(<Page head={head} />, root);
      performance.mark("interactive");
    },
    (error: unknown) => {
      root.textContent = `This page can't be shown: ${String(error)}`;
    },
  );
}
