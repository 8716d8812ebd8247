// `/metrics`, judged by the Prometheus project's own parser; `/livez`, `/readyz`; and the log.
import { execFileSync } from 'node:child_process';
import { open } from 'node:fs/promises';
import t from 'tap';
import { exposition } from '../../dist/api/routes/exposition.js';
import { healthStates } from '../../dist/volume/health.js';
import { rawRequest, startApi } from '../support/api.js';
import { startDaemon, type TestDaemon } from '../support/daemon.js';
import { eventually } from '../support/wait.js';

t.setTimeout(120_000);

const parser = `
import json, sys
from prometheus_client.parser import text_string_to_metric_families
print(json.dumps([
  [s.name, s.labels, repr(s.value), family.type]
  for family in text_string_to_metric_families(sys.stdin.read()) for s in family.samples]))
`;

interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
  readonly type: string;
}

type ParsedSample = [string, Record<string, string>, string, string];

function parse(text: string): Sample[] {
  const parsed = execFileSync('/usr/bin/python3', ['-c', parser], {
    input: text,
    encoding: 'utf8',
  });
  // The shape of what the script above prints.
  return (JSON.parse(parsed) as ParsedSample[]).map(([name, labels, value, type]) => ({
    name,
    labels,
    value: value === 'inf' ? Infinity : Number(value),
    type,
  }));
}

async function scrape({ socketPath }: TestDaemon): Promise<Sample[]> {
  const { status, text } = await rawRequest(socketPath, 'GET', '/metrics');
  t.equal(status, 200);
  return parse(text);
}

function valueOf(samples: readonly Sample[], name: string, labels: object = {}): number {
  const wanted = Object.entries(labels);
  const found = samples.filter(
    (sample) =>
      sample.name === name && wanted.every(([label, text]) => sample.labels[label] === text),
  );
  if (found.length !== 1) throw new Error(`${found.length} samples of ${name}`);
  return found[0]?.value ?? NaN;
}

t.test('requests, bytes, errors, gates and keys of a daemon at work', async (t) => {
  const daemon = await startDaemon(t);
  const { client } = daemon;
  await client.createKey({ name: 'app-db' });
  await client.createVolume({ name: 'db', size: 1 << 20, key: 'app-db' });
  const { attachment } = await client.attachVolume('db', {});
  const file = await open(attachment?.path ?? '', 'r+');
  for (let i = 0; i < 3; i++) await file.write(Buffer.alloc(4096, i), 0, 4096, i * 4096);
  await file.sync();
  await file.read(Buffer.alloc(8192), 0, 8192, 0);
  const disk = { disk: 'db', kind: 'volume' };
  const before = await scrape(daemon);
  const seconds = 'keyvol_disk_operation_seconds';
  t.equal(valueOf(before, `${seconds}_count`, { ...disk, operation: 'write' }), 3);
  t.equal(valueOf(before, `${seconds}_count`, { ...disk, operation: 'read' }), 1);
  t.equal(valueOf(before, `${seconds}_count`, { ...disk, operation: 'flush' }), 1);
  t.ok(valueOf(before, `${seconds}_sum`, { ...disk, operation: 'write' }) > 0);
  t.equal(valueOf(before, 'keyvol_disk_bytes_total', { ...disk, operation: 'write' }), 12288);
  t.equal(valueOf(before, 'keyvol_disk_bytes_total', { ...disk, operation: 'read' }), 8192);
  t.equal(valueOf(before, 'keyvol_disk_gate_state', { ...disk, state: 'open' }), 1);
  t.equal(valueOf(before, 'keyvol_key_state', { key: 'app-db', state: 'enabled' }), 1);
  t.equal(valueOf(before, 'keyvol_disks', { kind: 'volume' }), 1);
  t.equal(valueOf(before, 'keyvol_attached_disks'), 1);
  t.equal(valueOf(before, 'keyvol_unwell_disks'), 0);
  t.equal(valueOf(before, 'keyvol_audit_lag_seconds'), 0);
  const [newest] = await client.listAudit({ limit: 1 });
  t.equal(valueOf(before, 'keyvol_audit_records_total'), newest?.sequence);
  t.ok(valueOf(before, 'process_resident_memory_bytes') > 10e6);
  t.ok(valueOf(before, 'process_open_fds') > 10);

  await client.disableKey('app-db');
  await t.rejects(file.read(Buffer.alloc(4096), 0, 4096, 0), { code: 'EIO' });
  const after = await scrape(daemon);
  t.equal(valueOf(after, 'keyvol_disk_gate_state', { ...disk, state: 'closed' }), 1);
  t.equal(valueOf(after, 'keyvol_disk_gate_state', { ...disk, state: 'open' }), 0);
  t.equal(valueOf(after, 'keyvol_disk_health', { ...disk, state: 'locked' }), 1);
  t.equal(valueOf(after, 'keyvol_key_state', { key: 'app-db', state: 'disabled' }), 1);
  const errors = 'keyvol_disk_operation_errors_total';
  t.equal(valueOf(after, errors, { ...disk, operation: 'read' }), 1);
  for (const sample of before.filter(({ type }) => type === 'counter')) {
    t.ok(valueOf(after, sample.name, sample.labels) >= sample.value, `${sample.name} only rises`);
  }
  await file.close();
});

t.test(
  'buckets add up: the parser sees each bound once and the last one equal to the count',
  (t) => {
    const text = exposition([
      {
        name: 'h',
        help: 'a histogram',
        type: 'histogram',
        samples: [
          {
            labels: { disk: 'a "quoted" \\ name\nof two lines' },
            buckets: [
              { upTo: 0.5, count: 2 },
              { upTo: 1, count: 0 },
              { upTo: Infinity, count: 3 },
            ],
            sum: 7.25,
          },
        ],
      },
      { name: 'empty', help: 'nothing', type: 'gauge', samples: [] },
    ]);
    const samples = parse(text);
    t.same(
      samples.map(({ name, labels, value }) => [name, labels.le, value]),
      [
        ['h_bucket', '0.5', 2],
        ['h_bucket', '1', 2],
        ['h_bucket', '+Inf', 5],
        ['h_sum', undefined, 7.25],
        ['h_count', undefined, 5],
      ],
    );
    t.equal(samples[0]?.labels.disk, 'a "quoted" \\ name\nof two lines');
    t.end();
  },
);

t.test('whatever health a disk has, one state of it is 1', async (t) => {
  const measures = () => healthStates.map((health) => ({ name: health, kind: 'volume', health }));
  const { socketPath } = await startApi(t, {
    disks: {
      measures,
      counts: () => ({ volumes: 4, images: 0, snapshots: 0, attached: 4, mounted: 0 }),
      unwell: () => [],
    },
    audit: { backlog: () => ({ waiting: 0, oldestMs: 0 }), lastSequence: () => 0 },
    daemon: { usage: () => ({ rssBytes: 1, cpuSeconds: 1, openFds: 1 }) },
  });
  const samples = parse((await rawRequest(socketPath, 'GET', '/metrics')).text);
  for (const disk of healthStates) {
    for (const state of healthStates) {
      const value = valueOf(samples, 'keyvol_disk_health', { disk, state });
      t.equal(value, Number(disk === state), `${disk} is ${state}`);
    }
  }
});

t.test('it is alive and ready while it serves', async (t) => {
  const { socketPath } = await startDaemon(t, { fuseDriver: 'none' });
  for (const path of ['/livez', '/readyz']) {
    const { status, text } = await rawRequest(socketPath, 'GET', path);
    t.same({ status, text }, { status: 200, text: 'ok\n' }, path);
  }
});

t.test(
  'the log tells who changed what, what it did to disks, and when they are well',
  async (t) => {
    const daemon = await startDaemon(t);
    const { client } = daemon;
    await client.createKey({ name: 'app-db' });
    await client.createVolume({ name: 'db', size: 1 << 20, key: 'app-db' });
    await client.attachVolume('db', {});
    await client.disableKey('app-db');
    await eventually(() => daemon.output().includes('volume db locked: key app-db is disabled'));
    await client.enableKey('app-db');
    await eventually(() => daemon.output().includes('volume db is well again'));
    const lines = daemon
      .output()
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line): unknown => JSON.parse(line));
    const post = 'POST /keyvol/v1/keys/app-db/disable';
    t.match(
      lines.find((line) => String((line as { msg: unknown }).msg) === post),
      { level: 30, principal: 'uid:0', status: 200, tookMs: Number },
    );
    t.notMatch(daemon.output(), /"msg":"GET /, 'what only asks is not logged');
  },
);
