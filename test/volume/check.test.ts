/**
 * A check finds each thing that can be wrong with a disk, names the layer and the file, and changes
 * nothing. A repair mends a bad header copy, and nothing else.
 */
import t, { type Test } from 'tap';
import { randomUUID } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { listAudit } from '../../dist/audit/audit.js';
import type { CheckReport, DiskCheck } from '../../dist/volume/check-report.js';
import { damage, editCopies, editMetadata, headerCopyBytes } from '../support/luks-header.js';
import { caller, fingerprint, mib, newState, outcomeOf, type State } from '../support/state.js';

interface Made {
  readonly state: State;
  /** Of the containers of volume db, top first. */
  readonly paths: readonly string[];
  readonly check: (request?: DiskCheck) => Promise<CheckReport>;
}

/** A volume over a snapshot, under a key of its own. */
async function newDisk(t: Test): Promise<Made> {
  const state = await newState(t);
  const { volumes, snapshots } = state.disks;
  await state.keys.createKey({ alias: 'app' }, caller);
  await volumes.create({ name: 'db', sizeBytes: mib, key: 'app' }, caller);
  await snapshots.create('db@monday', caller);
  const check: Made['check'] = (request = {}) => volumes.check('db', request, caller);
  const { layers } = await check();
  return { state, paths: layers.map(({ container }) => container), check };
}

const kindsOf = ({ findings }: CheckReport): string[] => findings.map(({ kind }) => kind);

t.test('a whole disk has no findings', async (t) => {
  const { state, paths, check } = await newDisk(t);
  const { volumes, images } = state.disks;
  const before = fingerprint(state);
  const report = await check({ readData: true, repair: true });
  t.match(report, { name: 'db', kind: 'volume', clean: true, findings: [], remarks: [] });
  t.same(report.data, { readBytes: 0, failedBytes: 0 });
  t.equal(report.keyUnusable, undefined);
  t.match(report.layers, [
    { container: paths[0], sizeBytes: mib, visibleBytes: mib, key: 'right', findings: 0 },
    { container: paths[1], key: 'right' },
  ]);
  const monday = await volumes.check('db@monday', {}, caller);
  t.match(monday, { name: 'db@monday', kind: 'snapshot', clean: true });
  t.same(monday.layers, report.layers.slice(1));
  t.equal(fingerprint(state), before, 'it changed nothing');
  await images.create({ name: 'golden', volume: 'db' }, caller);
  t.match(await images.check('golden', {}, caller), {
    kind: 'image',
    clean: true,
    layers: [{}, {}],
  });
});

const older = (path: string): void =>
  editCopies(path, (copy) => copy.writeBigUInt64BE(1n, 16), 'second');

/** What is done to the lower container, and what must be found of it. */
const harms: Record<string, readonly [kinds: readonly string[], harm: (path: string) => void]> = {
  'a missing container': [['container-missing'], (path) => fs.unlinkSync(path)],
  'a link in its place': [
    ['container-foreign'],
    (path) => {
      fs.renameSync(path, `${path}.other`);
      fs.symlinkSync(`${path}.other`, path);
    },
  ],
  'a container cut short': [['container-short'], (path) => fs.truncateSync(path, mib + 4096)],
  'a container without data': [['container-short'], (path) => fs.truncateSync(path, 0)],
  'a container too long': [['container-long'], (path) => fs.truncateSync(path, 3 * mib)],
  'one that others can read': [['container-mode'], (path) => fs.chmodSync(path, 0o644)],
  'two bad header copies': [
    ['header-invalid'],
    (path) => damage(path, 0, Buffer.alloc(2 * headerCopyBytes, 7)),
  ],
  'a bad first copy': [['header-copy-damaged'], (path) => damage(path, 9, Buffer.from('X'))],
  'an old second copy': [['header-copy-outdated'], older],
  'copies that differ': [
    ['header-copies-differ'],
    (path) => editCopies(path, (copy) => copy.write('other', 24), 'first'),
  ],
  'bytes where there is nothing': [
    ['unused-area'],
    (path) => damage(path, 99999, Buffer.from('X')),
  ],
  'a token of another format': [
    ['token-unreadable'],
    (path) => editMetadata(path, ({ tokens }) => Object.assign(tokens['0'] ?? {}, { format: 2 })),
  ],
  'an edited context': [
    ['record-mismatch', 'record-mismatch'],
    (path) =>
      editMetadata(path, ({ tokens }) => {
        const context = { generation: '7', parent: '0b7e1c9a-3f53-4b38-9a43-27a5a0b0c001' };
        Object.assign(tokens['0']?.context ?? {}, context);
      }),
  ],
  'another wrapped key': [
    ['key-mismatch'],
    (path) =>
      editMetadata(path, ({ tokens }) => {
        // A string in every token that keyvol writes.
        const wrapped = Buffer.from(tokens['0']?.wrapped as string, 'base64');
        wrapped[60] = (wrapped[60] ?? 0) ^ 1;
        Object.assign(tokens['0'] ?? {}, { wrapped: wrapped.toString('base64') });
      }),
  ],
  'another key digest': [
    ['key-mismatch'],
    (path) =>
      editMetadata(path, ({ digests }) =>
        Object.assign(digests['0'] ?? {}, { digest: Buffer.alloc(32, 1).toString('base64') }),
      ),
  ],
};

t.test('each damage is found, where it is', { timeout: 60_000 }, async (t) => {
  const { state, paths, check } = await newDisk(t);
  const [, path = ''] = paths;
  const copy = join(state.runtimeDir, 'copy');
  fs.copyFileSync(path, copy);
  for (const [name, [kinds, harm]] of Object.entries(harms)) {
    harm(path);
    const before = name.startsWith('a missing') ? '' : fingerprint(state);
    const report = await check();
    t.same(kindsOf(report), kinds, name);
    const noted = ['container-long', 'container-mode', 'unused-area'].includes(kinds[0] ?? '');
    t.equal(report.clean, noted, `${name}: ${noted ? 'a note' : 'damage'}`);
    for (const finding of report.findings) {
      t.match(finding, { layerId: report.layers[1]?.id, container: path, cure: /\w/ });
      t.match(finding.message, path);
    }
    t.same([report.layers[0]?.findings, report.layers[1]?.findings], [0, kinds.length]);
    t.same(report.remarks, [], 'nothing is told twice');
    if (before !== '') t.equal(fingerprint(state), before, `${name}: nothing has changed`);
    const data = (await check({ readData: true })).data;
    const opens = noted || kinds.every((kind) => kind.startsWith('header-copy-'));
    t.equal(data !== undefined, opens, `${name}: its data ${opens ? 'are' : 'are not'} read`);
    fs.rmSync(path, { force: true });
    fs.copyFileSync(copy, path);
    fs.chmodSync(path, 0o600);
  }
  t.same(kindsOf(await check()), []);
});

t.test('an older container in its place is found', async (t) => {
  const { state, check } = await newDisk(t);
  await state.audit.commit([{ sql: 'UPDATE layer_generations SET generation = 2', params: [] }]);
  t.same(new Set(kindsOf(await check())), new Set(['header-outdated']));
});

t.test('a repair mends the bad copy, and only that', async (t) => {
  const { state, paths, check } = await newDisk(t);
  const { volumes } = state.disks;
  const [top = '', bottom = ''] = paths;
  damage(top, 5000, Buffer.from('X'));
  older(bottom);
  fs.chmodSync(bottom, 0o644);
  const goodOf = (): Buffer[] => [
    fs.readFileSync(top).subarray(headerCopyBytes),
    Buffer.concat([
      fs.readFileSync(bottom).subarray(0, headerCopyBytes),
      fs.readFileSync(bottom).subarray(2 * headerCopyBytes),
    ]),
  ];
  const kept = goodOf();

  await volumes.attach('db', {}, caller);
  t.equal(await outcomeOf(check({ repair: true })), 'WRONG_STATE', 'not while it is attached');
  const attached = await check();
  t.match(attached.findings[0]?.cure, 'keyvol volume detach db; keyvol volume check db --repair');
  await volumes.detach('db', {}, caller);
  const before = fingerprint(state);
  t.match(await check(), { clean: false });
  t.equal(fingerprint(state), before, 'not without being asked');

  const report = await check({ repair: true });
  t.equal(report.clean, true);
  t.match(report.findings, [
    { kind: 'header-copy-damaged', repaired: true },
    { kind: 'container-mode' },
    { kind: 'header-copy-outdated', repaired: true },
  ]);
  t.same(goodOf(), kept, 'the good copies and the data are untouched');
  t.equal(fs.statSync(bottom).mode & 0o777, 0o644, 'and so is the mode');
  t.same(kindsOf(await check()), ['container-mode']);
  t.match(
    listAudit(state.audit).filter(({ action }) => action === 'repairHeader'),
    [
      { result: 'allowed', resource: /^volume db \(/, detail: new RegExp(`first .*${top}`) },
      { result: 'allowed', resource: /^volume db \(/, detail: new RegExp(`second .*${bottom}`) },
    ],
  );
});

t.test(
  'an older copy is mended only with the key, which tells whether the newer is ours',
  async (t) => {
    const { state, paths, check } = await newDisk(t);
    older(paths[1] ?? '');
    await state.keys.disableKey('app', caller);
    const before = fingerprint(state);
    t.equal(await outcomeOf(check({ repair: true })), 'KEY_DISABLED');
    t.equal(fingerprint(state), before, 'it changed nothing');
    await state.keys.enableKey('app', caller);
    t.equal((await check({ repair: true })).clean, true);
  },
);

t.test('a bad copy beside one that is not of the record stays', async (t) => {
  const { state, paths, check } = await newDisk(t);
  const [top = '', bottom = ''] = paths;
  fs.copyFileSync(bottom, top);
  damage(top, 5000, Buffer.from('X'));
  const before = fingerprint(state);
  const report = await check({ repair: true });
  t.equal(report.clean, false);
  t.match(new Set(kindsOf(report)), new Set(['header-copy-damaged', 'record-mismatch']));
  t.equal(fingerprint(state), before);
});

t.test('without its key all but the key is checked', async (t) => {
  const { state, paths, check } = await newDisk(t);
  await state.keys.disableKey('app', caller);
  const whole = await check();
  t.match(whole, { clean: true, keyUnusable: 'key app is disabled', findings: [] });
  t.same(new Set(whole.layers.map(({ key }) => key)), new Set(['not-checked']));
  damage(paths[1] ?? '', 0, Buffer.from('X'));
  t.match(await check(), { clean: false, findings: [{ kind: 'header-copy-damaged' }] });
  t.equal(await outcomeOf(check({ readData: true })), 'KEY_DISABLED');
  t.match(await check({ repair: true }), { clean: true }, 'a repair needs no key');
});

t.test('what is found of other disks is a remark', async (t) => {
  const { state, check } = await newDisk(t);
  const { volumes } = state.disks;
  await volumes.create({ name: 'other', sizeBytes: mib }, caller);
  const [other] = (await volumes.check('other', {}, caller)).layers;
  fs.unlinkSync(other?.container ?? '');
  const stray = join(state.stateDir, 'layers', `${randomUUID()}.luks`);
  fs.writeFileSync(stray, '');
  const id = randomUUID();
  await state.store.commit([
    {
      sql: `INSERT INTO layers SELECT ?, NULL, key_id, size_bytes, 1, 0, 0 FROM layers LIMIT 1`,
      params: [id],
    },
  ]);
  const report = await check();
  t.match(report, { clean: true, findings: [] });
  const remarks = report.remarks.join('\n');
  t.match(remarks, `${stray} has no record`);
  t.match(remarks, `${other?.container ?? '-'}, of which there is a record, is missing`);
  t.match(remarks, `no disk needs layer ${id}`);
});

t.test('what a shrink hides is not visible', async (t) => {
  const { state, check } = await newDisk(t);
  const { volumes } = state.disks;
  await volumes.resize('db', { sizeBytes: mib / 2, shrink: true, confirm: 'db' }, caller);
  await volumes.resize('db', { sizeBytes: 2 * mib }, caller);
  const { layers, clean } = await check();
  t.ok(clean);
  t.equal(layers[0]?.visibleBytes, 2 * mib);
  t.equal(layers.at(-1)?.sizeBytes, mib);
  t.equal(layers.at(-1)?.visibleBytes, mib / 2);
});
