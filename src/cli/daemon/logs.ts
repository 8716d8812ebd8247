import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import type { CliContext } from '../context.js';
import { declare } from '../declare.js';
import { parseCount } from '../values.js';
import { lastLines, linesOf, logFileOf, readableLines, readSince } from './log-file.js';

interface Options {
  follow?: true;
  lines: number;
}

const pollMs = 250;

export function daemonLogsCommand(cli: CliContext): Command {
  return declare('logs', {
    description: 'show the log of a keyvold that was started in the background',
    example: 'keyvol daemon logs -f',
    statuses: [3, 130],
    local: true,
  })
    .option('-f, --follow', 'go on with what is written later, until Ctrl-C')
    .option('-n, --lines <n>', 'show this many lines', parseCount, 50)
    .action(async ({ follow, lines }: Options) => {
      const { stateDir } = await cli.directories();
      const file = logFileOf(stateDir);
      const last = lastLines(file, lines);
      if (follow) await followLog(cli, file, last);
      cli.print(last.lines, (all) => readableLines(all).join('\n'));
    });
}

// With --json one JSON text a line: a list that never ends could not be parsed.
async function followLog(
  cli: CliContext,
  file: string,
  last: { lines: string[]; endBytes: number },
): Promise<never> {
  let { lines, endBytes } = last;
  for (;;) {
    const shown = cli.json ? lines.map((line) => JSON.stringify(line)) : readableLines(lines);
    for (const line of shown) process.stdout.write(`${line}\n`);
    await sleep(pollMs);
    const more = readSince(file, endBytes);
    const whole = more.text.slice(0, more.text.lastIndexOf('\n') + 1);
    endBytes = more.endBytes - Buffer.byteLength(more.text) + Buffer.byteLength(whole);
    lines = linesOf(whole);
  }
}
