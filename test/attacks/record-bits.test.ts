/**
 * Bits of the records and of the root key, flipped: a start and every disk read right, or are
 * refused with a reason; no disk shows what is another's, and no container goes.
 */
import { cpSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { Fault } from '../../dist/fault.js';
import { openServices } from '../powercut/services.js';
import { modelRandom } from '../support/model-random.js';
import { isRoot, smallFilesystem } from '../support/temp.js';
import { makeSmallVolume, readStack, type Contents } from './small-volume.js';

const seed = Number(process.env.KEYVOL_BIT_SEED ?? Date.now() % 1e6);
/** How many bits of each file. */
const flips = Number(process.env.KEYVOL_BIT_FLIPS ?? '200');
const skip = isRoot ? false : 'mounting needs root';

/** What is wrong in a state with a flipped bit; "" when all is right, "refused" for less than that. */
async function judge(stateDir: string, contents: Contents): Promise<string> {
  try {
    const services = await openServices(stateDir, { threadless: false });
    let verdict = '';
    try {
      for (const { topLayerId } of services.records.disks()) {
        try {
          const bytes = await readStack(services, topLayerId);
          if (!bytes.equals(contents.get(topLayerId) ?? Buffer.alloc(0))) return 'other data';
        } catch (error) {
          verdict = refusalOf(error);
        }
      }
      return verdict;
    } finally {
      await services.stop();
    }
  } catch (error) {
    return refusalOf(error);
  }
}

function refusalOf(error: unknown): string {
  if (error instanceof Fault && error.code !== 'INTERNAL') return 'refused';
  return `no clean error: ${String(error)}`;
}

for (const name of ['root.key', 'keys.db', 'disks.db']) {
  t.test(`flipped bits of ${name}, seed ${seed}`, { skip, timeout: 0 }, async (t) => {
    const random = modelRandom(seed);
    const directory = smallFilesystem(t, '128m');
    const { stateDir, contents } = await makeSmallVolume(join(directory, 'made'));
    const containers = readdirSync(join(stateDir, 'layers')).sort();
    const original = readFileSync(join(stateDir, name));
    const isAll = original.length * 8 <= flips;
    // Most of a database is empty pages, of which some bits are enough.
    const full = [...original.keys()].filter((at) => original[at] !== 0);
    const wrong: string[] = [];
    const seen = { right: 0, refused: 0 };
    for (let n = 0; n < Math.min(flips, original.length * 8); n += 1) {
      const anywhere = random.below(original.length * 8);
      const somewhere = random.pick(full) * 8 + random.below(8);
      const bit = isAll ? n : n % 10 === 0 ? anywhere : somewhere;
      const copy = join(directory, 'copy');
      cpSync(stateDir, join(copy, 'state'), { recursive: true });
      const bytes = Buffer.from(original);
      bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      writeFileSync(join(copy, 'state', name), bytes);
      const verdict = await judge(join(copy, 'state'), contents);
      if (verdict === '') seen.right += 1;
      else if (verdict === 'refused') seen.refused += 1;
      else wrong.push(`bit ${bit}: ${verdict}`);
      const left = readdirSync(join(copy, 'state', 'layers')).sort();
      if (left.join() !== containers.join()) wrong.push(`bit ${bit}: a container is gone`);
      rmSync(copy, { recursive: true });
    }
    t.same(wrong.slice(0, 20), [], `${wrong.length} wrong`);
    t.ok(seen.right + seen.refused > 0, JSON.stringify(seen));
  });
}
