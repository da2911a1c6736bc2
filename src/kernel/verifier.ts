/** Lines of a verifier's log that an error shows. */
const shownLines = 15;

/** Statistics that the verifier always ends with; the reason stands before them. */
const statistics = /^(processed \d+ insns|verification time|stack depth|peak_states|max_states)/;

/**
 * One readable message from a refusal: the reason first, then the end of the verifier's log, where the instructions and
 * registers that led to it stand. `log` is what the kernel wrote at log level 1.
 */
export function describeRefusal(program: string, object: string, error: string, kernel: string, log: string): string {
  const lines = log.split('\n').filter((line) => line.trim() !== '' && !statistics.test(line));
  const reason = lines.findLast((line) => !/^\s*(\d+:|;|R\d|from \d|;;)/.test(line)) ?? lines.at(-1) ?? 'no log';
  const tail = lines.slice(-shownLines).map((line) => `  | ${line}`);
  const cut = lines.length > tail.length ? [`  | (${lines.length - tail.length} lines before)`] : [];
  return [
    `program ${program} of ${object} refused by kernel ${kernel} (${error}): ${reason.trim()}`,
    ...cut,
    ...tail,
  ].join('\n');
}
