// A size that is read wrongly makes a disk that is wrong for good.
import t from 'tap';
import { formatSize, parseSize } from '../../dist/units.js';

const largest = Number.MAX_SAFE_INTEGER;

t.test('sizes are powers of 1024', async (t) => {
  const sizes: [string, number][] = [
    ['0', 0],
    ['1', 1],
    ['4096', 4096],
    ['4096B', 4096],
    ['1K', 1024],
    ['1KiB', 1024],
    ['512MiB', 512 * 1024 ** 2],
    ['10G', 10 * 1024 ** 3],
    ['10g', 10 * 1024 ** 3],
    ['10 GiB', 10 * 1024 ** 3],
    [' 2T ', 2 * 1024 ** 4],
    ['7P', 7 * 1024 ** 5],
    ['1.5G', 1.5 * 1024 ** 3],
    ['0.5K', 512],
    ['1.0', 1],
    [String(largest), largest],
  ];
  for (const [text, bytes] of sizes) t.equal(parseSize(text), bytes, text);
});

t.test('what is no size is refused', async (t) => {
  const bad = [
    '',
    ' ',
    '-1',
    '+1',
    '1e3',
    '0x10',
    '10GB',
    '10E',
    'G',
    '1..5G',
    '.5G',
    '1.G',
    '1,5G',
  ];
  const parts = ['0.3', '1.1K', '0.0001K', 'NaN', 'Infinity', '1  G', '1G1', '１G'];
  const large = [String(largest + 1), '8P', '9'.repeat(20), '9'.repeat(400)];
  for (const text of [...bad, ...parts, ...large]) {
    t.throws(() => parseSize(text), { code: 'INVALID_SIZE' }, JSON.stringify(text.slice(0, 30)));
  }
});

t.test('sizes are shown short, and read back', async (t) => {
  const shown: [number, string][] = [
    [0, '0 bytes'],
    [1, '1 byte'],
    [1023, '1023 bytes'],
    [1024, '1 KiB'],
    [1536, '1.5 KiB'],
    [1024 ** 2 - 1, '1 MiB'],
    [10 * 1024 ** 3, '10 GiB'],
    [1024 ** 4 + 1, '1 TiB'],
    [1000 * 1024 ** 2, '1000 MiB'],
  ];
  for (const [bytes, text] of shown) t.equal(formatSize(bytes), text);
  for (const gib of [1, 10, 100, 1000]) {
    t.equal(parseSize(formatSize(gib * 1024 ** 3)), gib * 1024 ** 3);
  }
});
