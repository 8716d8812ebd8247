/** AES-256-XTS on one thread: our kernels beside OpenSSL and libgcrypt. */
import { join } from 'node:path';
import type { Bench } from './bench.js';

const program = 'build-bench/native/xts';

export function xtsJob(sectorBytes: number, direction: string): string {
  return `${direction}, ${sectorBytes}-byte sectors`;
}

export async function runXts({ options, results, stage, wantsJob }: Bench): Promise<void> {
  if (!wantsJob('xts', 'AES-256-XTS')) return;
  await results.attempt('AES-256-XTS', async () => {
    const rounds = options.smoke ? 1 : Math.max(9, options.rounds);
    const text = await stage.shell.run(join(process.cwd(), program), String(rounds));
    const turns = new Map<string, number>();
    for (const line of text.trim().split('\n')) {
      const [subject = '', sectorBytes = '', direction = '', speed, cycles] = line.split('\t');
      const job = xtsJob(Number(sectorBytes), direction);
      const round = turns.get(`${job} ${subject}`) ?? 0;
      turns.set(`${job} ${subject}`, round + 1);
      const figure = { suite: 'xts', backing: '', job, subject, round } as const;
      results.turns.push({ ...figure, unit: 'MB/s', value: Number(speed) / 1e6 });
      results.turns.push({ ...figure, unit: 'cycles/byte', value: Number(cycles) });
    }
  });
}
