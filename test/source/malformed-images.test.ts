// Images made to break who reads them: a clean error or the right content, soon, in little memory.
import { closeSync, openSync, readFileSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { Fault } from '../../dist/fault.js';
import { mib, patchyRaw, qemuImg, sha256ByQemu, sha256OfSource } from '../support/foreign.js';
import { modelRandom } from '../support/model-random.js';

const mutants = Number(process.env.KEYVOL_MUTANTS ?? '60');
const patienceMs = 10_000;

/** The message of the refusal, or the SHA-256 of the content. */
async function outcomeOf(
  file: string,
  format: 'qcow2' | 'vmdk' | 'vhdx' = 'qcow2',
): Promise<string> {
  const startedMs = performance.now();
  const outcome = await sha256OfSource(file, format).catch(messageOf);
  const tookMs = Math.round(performance.now() - startedMs);
  // A promise to users that says how long they wait at most.
  if (tookMs > patienceMs) throw new Error(`${file} took ${tookMs} ms: ${outcome}`);
  return outcome;
}

function messageOf(error: unknown): string {
  if (!(error instanceof Fault) || error.code === 'INTERNAL') throw error;
  return error.message;
}

t.test('headers that ask for the impossible', { timeout: 120_000 }, async (t) => {
  const file = path.join(t.testdir(), 'a.qcow2');
  const cases: readonly [string, RegExp, (image: Buffer) => void][] = [
    ['cluster bits 0', /cluster bits are 0/, (image) => image.writeUInt32BE(0, 20)],
    ['cluster bits 63', /cluster bits are 63/, (image) => image.writeUInt32BE(63, 20)],
    ['2^31 L1 entries', /L1 table is too large/, (image) => image.writeUInt32BE(2 ** 31, 36)],
    ['a long header', /header is longer/, (image) => image.writeUInt32BE(2 ** 32 - 1, 100)],
    ['a short header', /header is too short/, (image) => image.writeUInt32BE(72, 100)],
    ['a long backing name', /backing file/, (image) => image.writeUInt32BE(2 ** 32 - 1, 16)],
    ['many snapshots', /too many snapshots/, (image) => image.writeUInt32BE(2 ** 32 - 1, 60)],
    ['reference counts', /reference counts is too/, (image) => image.writeUInt32BE(2 ** 31, 56)],
    ['L1 at the header', /not a sound qcow2/, (image) => image.writeBigUInt64BE(0n, 40)],
    ['2^63 - 1 bytes', /bytes/, (image) => image.writeBigUInt64BE(2n ** 63n - 1n, 24)],
    ['1 PiB', /has 1125899906842624 bytes/, (image) => image.writeBigUInt64BE(2n ** 50n, 24)],
    ['nothing', /has 0 bytes/, (image) => image.writeBigUInt64BE(0n, 24)],
    ['unknown features', /unknown features/, (image) => image.writeUInt8(0x80, 72)],
    ['marked as corrupt', /marked as corrupt/, (image) => image.writeUInt8(2, 79)],
    ['encryption', /is encrypted/, (image) => image.writeUInt32BE(2, 32)],
    ['version 4', /its version is 4/, (image) => image.writeUInt32BE(4, 4)],
  ];
  for (const [what, wanted, edit] of cases) {
    qemuImg('create', '-f', 'qcow2', file, '8M');
    const image = readFileSync(file);
    edit(image);
    writeFileSync(file, image);
    t.match(await outcomeOf(file), wanted, what);
  }
});

t.test('images that are cut short', { timeout: 120_000 }, async (t) => {
  const directory = t.testdir();
  const raw = path.join(directory, 'raw');
  patchyRaw(raw, 8 * mib);
  for (const [ending, driver] of [
    ['qcow2', 'qcow2'],
    ['vmdk', 'vmdk'],
    ['vhd', 'vpc'],
    ['vhdx', 'vhdx'],
    ['vdi', 'vdi'],
  ] as const) {
    const file = path.join(directory, `a.${ending}`);
    for (const leftBytes of [1, 511, 4096, 65536, 2 * mib]) {
      qemuImg('convert', '-f', 'raw', '-O', driver, raw, file);
      truncateSync(file, leftBytes);
      await t.rejects(sha256OfSource(file), Fault, `${ending} of ${leftBytes} bytes`);
    }
  }
});

t.test('a disk of 10 TiB without content', { timeout: 60_000 }, async (t) => {
  const file = path.join(t.testdir(), 'a.qcow2');
  qemuImg('create', '-f', 'qcow2', '-o', 'cluster_size=2M', file, '10T');
  t.equal(await outcomeOf(file), 'large');
});

t.test('backing files that form a loop, or a long chain', { timeout: 60_000 }, async (t) => {
  const directory = t.testdir();
  const [one, two] = ['one', 'two'].map((name) => path.join(directory, `${name}.qcow2`));
  for (const [file = '', backing = ''] of [
    [one, two],
    [two, one],
  ]) {
    qemuImg('create', '-u', '-f', 'qcow2', '-b', backing, '-F', 'qcow2', file, '1M');
  }
  t.match(await outcomeOf(one ?? ''), /has a backing file/);
});

t.test('mutants', { timeout: Math.max(120_000, mutants * 2000) }, async (t) => {
  const directory = t.testdir();
  const [raw, good] = [path.join(directory, 'raw'), path.join(directory, 'good.qcow2')];
  patchyRaw(raw, 8 * mib);
  const random = modelRandom(20261130);
  const counts = { refused: 0, right: 0 };
  for (let mutant = 0; mutant < mutants; mutant += 1) {
    const options = mutant % 2 === 0 ? [] : ['-c', '-o', 'cluster_size=4096'];
    const file = path.join(directory, 'mutant.qcow2');
    if (mutant < 2)
      qemuImg('convert', '-f', 'raw', '-O', 'qcow2', ...options, raw, good + String(mutant));
    writeFileSync(file, readFileSync(good + String(mutant % 2)));
    mutate(file, random);
    const outcome = await outcomeOf(file);
    if (/^[0-9a-f]{64}$/.test(outcome)) {
      counts.right += 1;
      const wanted = await sha256ByQemu(file, 'qcow2');
      if (outcome !== wanted) t.fail(`mutant ${mutant}: ${outcome} instead of ${String(wanted)}`);
    } else if (outcome !== 'large') counts.refused += 1;
  }
  t.ok(counts.refused > mutants / 10 && counts.right > 0, JSON.stringify(counts));
});

/** Changes one to eight bytes, most of them in the header and the tables. */
function mutate(path: string, random: { below(limit: number): number }): void {
  const file = openSync(path, 'r+');
  const areas = [112, 112, 4096, 5 * 65536, readFileSync(path).length];
  for (let left = 1 + random.below(8); left > 0; left -= 1) {
    const at = random.below(areas[random.below(areas.length)] ?? 112);
    writeSync(file, Buffer.from([random.below(256)]), 0, 1, at);
  }
  closeSync(file);
}
