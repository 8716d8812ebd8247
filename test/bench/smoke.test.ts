// `npm run bench` needs an hour and a quiet machine, so nobody would see that a part of it broke.
// Its smoke run takes every system and every job once, and writes nothing into the repository.
import { accessSync } from 'node:fs';
import t from 'tap';
import { command } from '../support/world.js';

interface Turn {
  readonly suite: string;
  readonly backing: string;
  readonly job: string;
  readonly subject: string;
  readonly value: number;
}

const systems = ['keyvol', 'QEMU LUKS', 'gocryptfs', 'pass-through', 'plain', 'fuse-native'];
const withFilesystem = ['keyvol', 'QEMU LUKS', 'pass-through', 'plain'];
const jobs = [
  ...[1, 16, 64].flatMap((depth) => [
    `4 KiB random read, depth ${depth}`,
    `4 KiB random write, depth ${depth}`,
  ]),
  '64 KiB mixed, depth 16',
  '1 MiB sequential read, depth 4',
  '1 MiB sequential write, depth 4',
];
const servers = ['keyvol', 'nbdkit luks', 'qemu-nbd'];
const nbdJobs = [
  'copy, 1 MiB reads',
  'copy, 1 MiB writes',
  '4 KiB random read, depth 16',
  '4 KiB random write, depth 16',
];
const layers = ['1 layer', '8 layers', '32 layers'];

function whyNot(): string | false {
  if (process.getuid?.() !== 0) return 'only root mounts a tmpfs and sets up loop devices';
  try {
    accessSync('/dev/fuse');
    return false;
  } catch {
    return 'there is no /dev/fuse';
  }
}

t.test('a smoke run of the benchmark', { skip: whyNot() }, async (t) => {
  const before = await command('git', 'status', '--porcelain');
  const run = await command(process.execPath, 'build-bench/main.js', '--smoke', '--json');
  t.equal(run.status, 0, 'succeeds');
  const { turns, failures, skips } = JSON.parse(run.stdout) as {
    turns: Turn[];
    failures: unknown[];
    skips: { what: string; why: string }[];
  };
  t.same(failures, [], 'has no failures');
  const skipped = skips.map(({ what }) => what);
  t.same(
    skipped.filter((what) => what !== 'fuse-native'),
    [],
    'leaves out nothing that Debian has',
  );
  const figures = (suite: string, job: string, subject: string): Turn[] =>
    turns.filter(
      (turn) => turn.suite === suite && turn.job === job && turn.subject.startsWith(subject),
    );
  const expect = (suite: string, job: string, subject: string): void => {
    const values = figures(suite, job, subject).map(({ value }) => value);
    t.ok(values.length > 0 && values.every((value) => value > 0), `${suite}: ${job}: ${subject}`);
  };

  for (const job of jobs) {
    for (const system of systems.filter((name) => !skipped.includes(name)))
      expect('raw', job, system);
  }
  for (const system of withFilesystem) {
    for (const job of jobs.slice(-2)) expect('ext4', job, system);
  }
  for (const server of servers) {
    for (const job of nbdJobs) expect('nbd', job, server);
  }
  for (const layer of layers) expect('chain', '1 MiB sequential read, depth 4', layer);
  for (const verb of ['create a', 'clone an attached', 'image of an attached']) {
    for (const way of ['API', 'CLI']) expect('control', `${verb} volume of 10 GiB`, way);
  }
  expect('control', 'attach 1 TiB over 8 layers', 'API');
  expect('memory', 'memory of its own after all jobs', 'keyvol');
  for (const subject of ['keyvol', 'OpenSSL', 'libgcrypt']) {
    expect('xts', 'encrypt, 4096-byte sectors', subject);
  }
  t.same([...new Set(turns.map(({ backing }) => backing))].sort(), ['', 'RAM', 'file']);
  const after = await command('git', 'status', '--porcelain');
  t.equal(after.stdout, before.stdout, 'the repository is as it was');
});
