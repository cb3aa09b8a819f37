// The verdict first: what went wrong, whose it was, what shows it, and which trace to look at. Then what was looked for in vain, and what
// the recording can't tell.

import type { Finding, Head } from "./data";
import { Badge, Panel, Text } from "./pieces";
import { address } from "./place";
import { count, plural, visible } from "./words";

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
          {plural(head.n_traces, "trace")} · {count(told.n_failed)} failed · <span title="More than three times the median of the traces that begin at the same place">{count(told.n_slow)} slow</span>
        </p>
        {bad[0] && <Told finding={bad[0]} head={head} number={told.findings.indexOf(bad[0])} />}
      </section>
      <Causes head={head} />
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

/** What slow and failed traces are mainly blamed on, the most first. */
function Causes({ head }: { head: Head }) {
  const bad = head.traces.filter((row) => row.slow || row.n_failed > 0 || row.finding !== null);
  const counts = new Map<number | null, number>();
  for (const row of bad) if (row.slow || row.finding !== null) counts.set(row.finding, (counts.get(row.finding) ?? 0) + 1);
  const n = [...counts.values()].reduce((sum, each) => sum + each, 0);
  if (n === 0) return null;
  const most = Math.max(...counts.values());
  return (
    <Panel title={`What ${plural(n, "slow or failed trace")} are mainly blamed on`} about="Each is counted once: under what made it fail, else under what is unusual and took a tenth of its time or more, else under usual work. A failure is what should not be there at all, however few it slows; usual work may be meant, and may have taken more.">
      <div class="scroll">
        <table class="causes">
          <caption class="hidden">Causes</caption>
          <tbody>
            {[...counts]
              .sort((a, b) => b[1] - a[1])
              .map(([number, of]) => {
                const finding = number === null ? undefined : head.told.findings[number];
                return (
                  <tr>
                    <td class="number">
                      {number === null ? count(of) : <a href={address("traces", "", { blamed: String(number) })}>{`${count(of)} of ${count(n)}`}</a>}
                    </td>
                    <td class="bar">
                      <svg class="split" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">
                        <rect class={finding?.severity === "fail" ? "slow" : "plain"} width={(100 * of) / most} height="6" />
                      </svg>
                    </td>
                    <td>{finding && <Badge severity={finding.severity} />}</td>
                    <td class="wide">{finding ? <Text>{`${finding.culprit}: ${finding.severity === "pass" ? "its usual work" : finding.class}`}</Text> : "no cause was found"}</td>
                  </tr>
                );
              })}
          </tbody>
        </table>
      </div>
    </Panel>
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
