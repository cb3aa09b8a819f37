// The verdict first: what went wrong, whose it was, what shows it, and which trace to look at. Then what was looked for in vain, and what
// the recording can't tell.

import type { Finding, Head } from "./data";
import { Badge, Panel, Text } from "./pieces";
import { address } from "./place";
import { plural, visible } from "./words";

const HEADS = { fail: "Something is wrong", warn: "Something is unusual", pass: "Nothing wrong was found" };

export function Verdict({ head }: { head: Head }) {
  const { told } = head;
  const bad = told.findings.filter((finding) => finding.severity !== "pass");
  const rest = told.findings.filter((finding) => finding.severity === "pass");
  return (
    <>
      <section class={`panel verdict ${told.severity}`}>
        <p class="kicker">{HEADS[told.severity]}</p>
        <h2 class="culprit">{told.culprit === null ? "No finding blames anything" : visible(told.culprit)}</h2>
        <p>
          {plural(head.n_traces, "trace")} · {told.n_failed} failed for who asked · {told.n_slow} slow
          {told.n_unexplained > 0 && ` · ${told.n_unexplained} of these for no reason that was found`}
        </p>
        {bad[0] && <Told finding={bad[0]} head={head} number={told.findings.indexOf(bad[0])} />}
      </section>
      {bad.length > 1 && (
        <Panel title="Also found" about="Failures first, then warnings; of each, first what more slow and failed traces are mainly blamed on.">
          {bad.slice(1).map((finding) => (
            <Told finding={finding} head={head} number={told.findings.indexOf(finding)} titled />
          ))}
        </Panel>
      )}
      {rest.length > 0 && (
        <Panel title="Good to know" about="Costs that may be meant: what takes most of the time need not be wrong.">
          {rest.map((finding) => (
            <Told finding={finding} head={head} number={told.findings.indexOf(finding)} titled />
          ))}
        </Panel>
      )}
      <Panel title="What this rests on">
        <p>{told.counts.join(" · ")}</p>
        <p>
          <b>Looked for and not found:</b> {told.not_found.join(", ")}
        </p>
        {told.not_known.length > 0 && (
          <>
            <p>
              <b>Not known:</b>
            </p>
            <ul>
              {told.not_known.map((line) => (
                <li>{visible(line)}</li>
              ))}
            </ul>
          </>
        )}
        <p>
          <a href={address("clocks")}>Clocks, and all that was lost →</a>
        </p>
      </Panel>
    </>
  );
}

/** Lines that repeat, once each with how often. */
function counted(lines: string[]): [string, number][] {
  const found = new Map<string, number>();
  for (const line of lines) found.set(line, (found.get(line) ?? 0) + 1);
  return [...found];
}

function Told({ finding, head, number, titled }: { finding: Finding; head: Head; number: number; titled?: boolean }) {
  const trace = finding.worst === null ? undefined : head.traces[finding.worst];
  const blamed = head.traces.filter((row) => row.finding === number).length;
  return (
    <article class="finding">
      {titled && (
        <h3>
          <Badge severity={finding.severity} /> <Text>{finding.culprit}</Text>
        </h3>
      )}
      <p>
        {visible(finding.sentence)} <code>{finding.class}</code>
      </p>
      {finding.evidence.length > 0 && (
        <ul>
          {counted(finding.evidence).map(([line, n]) => (
            <li>
              {visible(line)}
              {n > 1 && ` ×${n}`}
            </li>
          ))}
        </ul>
      )}
      {finding.cost.length > 0 && <p class="cost">{finding.cost.join(" · ")}</p>}
      {finding.related.map(([, words]) => (
        <p class="related">↔ {visible(words)}</p>
      ))}
      <p>
        {trace && (
          <a class="button" href={address("trace", trace.id, { finding: String(number) })}>
            Open the trace that shows it best
          </a>
        )}{" "}
        {blamed > 0 && <a href={address("traces", "", { blamed: String(number) })}>main cause of {plural(blamed, "slow or failed trace")}</a>}
      </p>
    </article>
  );
}
