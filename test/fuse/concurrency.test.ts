/** Programs that write at once, into the same sectors too, lose none of each other's bytes. */
import t from 'tap';
import { mountVolume, noFuse, readFileAt, runOk } from '../support/fuse.js';
import { MIB } from '../support/layers.js';

const writers = 4;
const chunkBytes = 1000; // no multiple of anything, so that neighbours share sectors
const chunks = 400;

// Writer `n` fills every fourth chunk with its own letter, reading others' chunks meanwhile.
const program = `
import os, sys
path, n = sys.argv[1], int(sys.argv[2])
fd = os.open(path, os.O_RDWR)
letter = bytes([ord('a') + n])
for chunk in range(n, ${writers * chunks}, ${writers}):
    assert os.pwrite(fd, letter * ${chunkBytes}, chunk * ${chunkBytes}) == ${chunkBytes}
    assert os.pread(fd, ${chunkBytes}, chunk * ${chunkBytes}) == letter * ${chunkBytes}
os.fsync(fd)
`;

void t.test('writers of neighbouring bytes do not tear each other', { skip: noFuse }, async (t) => {
  const { path } = await mountVolume(t, 8 * MIB);
  await Promise.all(
    Array.from({ length: writers }, (_, n) => runOk('python3', '-c', program, path, String(n))),
  );
  const seen = await readFileAt(path, 0, writers * chunks * chunkBytes);
  const expected = Buffer.concat(
    Array.from({ length: writers * chunks }, (_, chunk) =>
      Buffer.alloc(chunkBytes, 'abcd'[chunk % writers]),
    ),
  );
  t.ok(seen.equals(expected), 'every chunk is its own writer’s');
});
