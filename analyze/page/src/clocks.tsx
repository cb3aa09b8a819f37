// How the clocks are related, and all that was lost, could not be used or stayed doubtful.

import type { Head } from "./data";
import { Panel, Text } from "./pieces";
import { count, duration, known } from "./words";

export function Clocks({ head }: { head: Head }) {
  const { clocks, lost } = head.told;
  const references = new Map(clocks.map((pair) => [pair.reference, pair.reference_ntp_error_ns]));
  return (
    <>
      <Panel title="Clocks" about={clocks.length === 0 ? undefined : "Ahead: by how much the second clock says more than the first, in the middle of the recording, and within how much (±) the truth lies. Worst: the widest ± of any time. A wide ± makes only one-way times between two clocks unsure; how long a call took, and the time there and back, are of one clock each."}>
        {clocks.length === 0 ? (
          <p>No two machines were aligned: there is one, whose own clocks its recorder related, or nothing was seen to pass between two.</p>
        ) : (
          <>
            <div class="scroll">
              <table>
                <caption class="hidden">Pairs of clocks</caption>
                <thead>
                  <tr>
                    <th scope="col">clock</th>
                    <th scope="col">other</th>
                    <th scope="col" class="number">ahead</th>
                    <th scope="col" class="number">±</th>
                    <th scope="col" class="number">worst ±</th>
                    <th scope="col" class="number">drift</th>
                    <th scope="col" class="number">matches</th>
                    <th scope="col" class="number">steps</th>
                    <th scope="col">quality</th>
                  </tr>
                </thead>
                <tbody>
                  {clocks.map((pair) => (
                    <tr>
                      <td><Text>{pair.clock}</Text></td>
                      <td><Text>{pair.other}</Text></td>
                      <td class="number">{known(pair.ahead_ns)}</td>
                      <td class="number">{known(pair.bound_ns)}</td>
                      <td class="number">{known(pair.worst_bound_ns)}</td>
                      <td class="number">{pair.drift_ppb === null ? "–" : `${(pair.drift_ppb / 1000).toFixed(2)} ppm`}</td>
                      <td class="number">{`${count(pair.matches_forth)} / ${count(pair.matches_back)}`}</td>
                      <td class="number">{pair.steps}</td>
                      <td>{pair.quality}</td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
            {[...references].map(([name, error]) => (
              <p>
                Everywhere on this page, times are corrected by these: they are the Unix time of <Text>{name}</Text>, {error === null ? "of which no recorder says that NTP kept it" : `which NTP kept within ${duration(error)}`}.
              </p>
            ))}
          </>
        )}
      </Panel>
      <Panel title="Lost, unused or doubtful" about="What the recording did not hold, what could not be read, and what stayed ambiguous, by cause. Where so much is missing that a verdict may be wrong for it, the verdict's page has a finding “events-lost”, or names it under “not known”.">
        {lost.length === 0 ? (
          <p>Nothing was lost, nothing stayed ambiguous.</p>
        ) : (
          <div class="scroll">
            <table>
              <caption class="hidden">Losses and doubts</caption>
              <thead>
                <tr>
                  <th scope="col" class="number">count</th>
                  <th scope="col">cause</th>
                  <th scope="col">where</th>
                </tr>
              </thead>
              <tbody>
                {lost.map(([n, cause, where]) => (
                  <tr>
                    <td class="number">{count(n)}</td>
                    <td><Text>{cause}</Text></td>
                    <td class="wide"><Text>{where}</Text></td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
      </Panel>
    </>
  );
}
