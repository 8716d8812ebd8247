/**
 * Every bit of a container's metadata, flipped: in one header copy, and in both. The disk reads right
 * or is refused with a reason, and the file is left as it was.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { Fault } from '../../dist/fault.js';
import { openServices } from '../powercut/services.js';
import { damage, headerCopyBytes } from '../support/luks-header.js';
import { isRoot, smallFilesystem } from '../support/temp.js';
import { makeSmallVolume, readStack } from './small-volume.js';

/** Every so many bits are flipped; of the padding, which is all zeros, much fewer. */
const step = Number(process.env.KEYVOL_BIT_STEP ?? '11');
const paddingStep = step * 31;
const skip = isRoot ? false : 'mounting needs root';

function bitsOf(header: Buffer): number[] {
  const bits: number[] = [];
  for (let bit = 0; bit < header.length * 8; bit += 1) {
    const isPadding = header[bit >> 3] === 0;
    if (bit % (isPadding && step > 1 ? paddingStep : step) === 0) bits.push(bit);
  }
  return bits;
}

t.test('flipped bits of headers', { skip, timeout: 0 }, async (t) => {
  const { stateDir, contents } = await makeSmallVolume(smallFilesystem(t, '64m'));
  const services = await openServices(stateDir, { threadless: true });
  t.teardown(() => services.stop());
  const [top = ''] = services.records.disks().map((disk) => disk.topLayerId);
  const path = join(stateDir, 'layers', `${top}.luks`);
  const original = readFileSync(path);
  const wrong: string[] = [];
  const seen = { right: 0, refused: 0 };
  const tryFlip = async (bit: number, copies: readonly number[]): Promise<void> => {
    for (const copy of copies) {
      const at = copy * headerCopyBytes + (bit >> 3);
      damage(path, at, Buffer.from([(original[at] ?? 0) ^ (1 << (bit & 7))]));
    }
    const damaged = readFileSync(path);
    try {
      const bytes = await readStack(services, top);
      if (bytes.equals(contents.get(top) ?? Buffer.alloc(0))) seen.right += 1;
      else wrong.push(`bit ${bit} of copies ${copies.join()}: other data`);
    } catch (error) {
      seen.refused += 1;
      if (!(error instanceof Fault) || error.code === 'INTERNAL') {
        wrong.push(`bit ${bit} of copies ${copies.join()}: ${String(error)}`);
      }
    }
    if (!readFileSync(path).equals(damaged)) wrong.push(`bit ${bit}: the file was changed`);
    for (const copy of copies) {
      const at = copy * headerCopyBytes + (bit >> 3);
      damage(path, at, original.subarray(at, at + 1));
    }
  };
  for (const bit of bitsOf(original.subarray(0, headerCopyBytes))) {
    await tryFlip(bit, [0]);
    await tryFlip(bit, [1]);
    await tryFlip(bit, [0, 1]);
  }
  t.same(wrong.slice(0, 20), [], `${wrong.length} wrong`);
  t.ok(seen.right > 0, `${seen.right} times the other copy was used`);
  t.ok(seen.refused > 0, `${seen.refused} times it was refused`);
});
