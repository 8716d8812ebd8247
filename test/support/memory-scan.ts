/** Looks for known bytes in another process's memory, as root can. */
import { open, readFile } from 'node:fs/promises';

const chunkBytes = 4 * 2 ** 20;

/** How often each needle stands in the readable memory of process `pid`. */
export async function countInMemory(
  pid: number,
  needles: ReadonlyMap<string, Buffer>,
): Promise<Map<string, number>> {
  const counts = new Map([...needles.keys()].map((name) => [name, 0]));
  const longestBytes = Math.max(...[...needles.values()].map((needle) => needle.length));
  const memory = await open(`/proc/${String(pid)}/mem`, 'r');
  try {
    for (const { start, end } of await readableRanges(pid)) {
      // Chunks overlap by all but one byte of the longest needle, so that none is cut in two;
      // a match wholly inside the overlap is counted by the later chunk alone.
      for (let at = start; at < end; at += chunkBytes) {
        const length = Math.min(chunkBytes + longestBytes - 1, end - at);
        const chunk = Buffer.allocUnsafe(length);
        const bytesRead = await readMemory(memory, chunk, at);
        for (const [name, needle] of needles) {
          const found = countIn(chunk.subarray(0, bytesRead), needle, chunkBytes);
          counts.set(name, (counts.get(name) ?? 0) + found);
        }
      }
    }
  } finally {
    await memory.close();
  }
  return counts;
}

/** Pages of hidden memory (memfd_secret) and pages that went away read as nothing. */
async function readMemory(
  memory: Awaited<ReturnType<typeof open>>,
  chunk: Buffer,
  at: number,
): Promise<number> {
  try {
    return (await memory.read(chunk, 0, chunk.length, at)).bytesRead;
  } catch {
    return 0;
  }
}

async function readableRanges(pid: number): Promise<{ start: number; end: number }[]> {
  const maps = await readFile(`/proc/${String(pid)}/maps`, 'utf8');
  return maps.split('\n').flatMap((line) => {
    const match = /^([0-9a-f]+)-([0-9a-f]+) r.*?(\S*)$/.exec(line);
    if (match === null || match[3] === '[vvar]' || match[3] === '[vsyscall]') return [];
    return [{ start: parseInt(match[1] ?? '', 16), end: parseInt(match[2] ?? '', 16) }];
  });
}

function countIn(haystack: Buffer, needle: Buffer, limitBytes: number): number {
  let count = 0;
  let at = haystack.indexOf(needle);
  while (at !== -1 && at < limitBytes) {
    count += 1;
    at = haystack.indexOf(needle, at + 1);
  }
  return count;
}
