// How to read this page.

import type { Head } from "./data";
import { Panel } from "./pieces";
import { address } from "./place";

export function Guide({ head }: { head: Head }) {
  return (
    <Panel title="How to read this page">
      <p>
        This page was written by {head.program} from recordings of sockets and packets. Nothing was changed in the services that it shows, and it needs nothing beside itself: no network, no server.
      </p>
      <h3>Which hop made a slow request slow, and whose is it?</h3>
      <ol>
        <li>
          <a href={address("verdict")}>Verdict</a> says what is to blame over all, and what shows it.
        </li>
        <li>“Open the trace that shows it best” leads to one request. The marked line under its title names the slowest part and what is blamed; below it stands where all of its time went. The call that the finding is about is chosen.</li>
        <li>Below, each hop of that call stands with its time there (→), back (←) and within how much that is known (±); ◀ marks the slowest.</li>
        <li>
          Whether it is always so: <a href={address("hops")}>Hops</a> shows the same stretch over the whole recording, <a href={address("flame")}>Flame</a> what all traces waited for.
        </li>
      </ol>
      <h3>Words</h3>
      <dl>
        <dt>call</dt>
        <dd>One request and its answer, from the process that asked to the one that answered, seen at many points on its way.</dd>
        <dt>trace</dt>
        <dd>A request from outside with all calls that it caused. Which call caused which is told by evidence, each link with its reasons and how sure it is; “?” marks one that is less sure than nine in ten.</dd>
        <dt>hop</dt>
        <dd>A stretch of a call's way between two points where it was observed, or the inside of a process.</dd>
        <dt>±</dt>
        <dd>A guaranteed bound, from what was seen to pass between the clocks. A time without it was taken by one clock.</dd>
        <dt>≥</dt>
        <dd>The end was not seen: it took at least so long.</dd>
        <dt>unseen</dt>
        <dd>The share of calls in which a stretch was not observed. It is in no percentile.</dd>
        <dt>own work</dt>
        <dd>What a server spent on a request while it waited for no further call.</dd>
        <dt>before it began</dt>
        <dd>What a call waited for before its first byte: a free connection, a name's look-up, a handshake. It stands in its caller's bar, too, who waited.</dd>
        <dt>⚑</dt>
        <dd>A call that the finding is about, with what that cost the trace.</dd>
        <dt>blamed, slowest part</dt>
        <dd>The slowest part is the longest single stretch of a trace, usual or not. Blamed is what a finding shows to be unusual.</dd>
        <dt>slow</dt>
        <dd>A trace that took more than three times what is usual where it begins.</dd>
        <dt>sent again</dt>
        <dd>Segments that passed a point more than once: something was lost, or its acknowledgment.</dd>
        <dt>through</dt>
        <dd>Inside one place, from one of its interfaces to another: a gateway, a bridge.</dd>
        <dt>on the path</dt>
        <dd>What made a trace as long as it was; what ran beside it could have taken longer and nobody had noticed.</dd>
      </dl>
      <h3>Keys</h3>
      <dl class="keys">
        <dt>1 … 8</dt>
        <dd>the views, in their order</dd>
        <dt>/</dt>
        <dd>search traces</dd>
        <dt>↑ ↓</dt>
        <dd>another trace of the list, another call of a trace</dd>
        <dt>Enter</dt>
        <dd>open</dd>
        <dt>← →</dt>
        <dd>the trace before or after; a step of the replay</dd>
        <dt>Escape</dt>
        <dd>back</dd>
        <dt>space</dt>
        <dd>play or stop the replay</dd>
      </dl>
    </Panel>
  );
}
