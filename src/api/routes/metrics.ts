/** What `/metrics` tells; docs/observability.md explains each. */
import { healthStates } from '../../volume/health.js';
import type { DiskMeasures } from '../../volume/measures.js';
import { exposition, type Family, type HistogramSample, type Sample } from './exposition.js';
import type { Services } from './route.js';

type Operations = NonNullable<DiskMeasures['operations']>;
type OperationCounts = Operations[keyof Operations];

const keyStates = ['enabled', 'disabled', 'pending-deletion', 'pending-import'] as const;
const gateStates = ['open', 'held', 'closed'] as const;
const operations = ['read', 'write', 'flush', 'discard'] as const;

/** Everything, in the text format of Prometheus. */
export function metricsText(services: Services): string {
  const disks = services.disks.measures();
  return exposition([
    ...ofDaemon(services),
    ...ofKeys(services),
    ...ofDisks(services, disks),
    ...ofGates(disks),
    ...ofRequests(disks),
  ]);
}

function gauge(name: string, help: string, samples: readonly Sample[]): Family {
  return { name, help, type: 'gauge', samples };
}

function counter(name: string, help: string, samples: readonly Sample[]): Family {
  return { name, help, type: 'counter', samples };
}

function one(value: number): Sample[] {
  return [{ labels: {}, value }];
}

/** One sample for each state something can have; 1 for the one that it has. */
function stateSet<State extends string>(
  labels: Record<string, string>,
  states: readonly State[],
  actual: State,
): Sample[] {
  return states.map((state) => ({ labels: { ...labels, state }, value: Number(state === actual) }));
}

function ofDaemon({ daemon, audit }: Services): Family[] {
  const { version, started_at: startedAt, fuse_driver: driver } = daemon.facts();
  const { waiting, oldestMs } = audit.backlog();
  const { rssBytes, cpuSeconds, openFds } = daemon.usage();
  return [
    gauge('keyvol_build_info', 'Always 1; the labels name the version and the FUSE driver.', [
      { labels: { version, fuse_driver: driver }, value: 1 },
    ]),
    gauge('keyvol_audit_waiting_commits', 'Record commits not yet durable.', one(waiting)),
    gauge(
      'keyvol_audit_lag_seconds',
      'For how long the oldest of them has waited; its caller waits as long.',
      one(oldestMs / 1000),
    ),
    counter('keyvol_audit_records_total', 'The newest audit record.', one(audit.lastSequence())),
    gauge(
      'process_start_time_seconds',
      'When the daemon started, in seconds since 1970.',
      one(Date.parse(startedAt) / 1000),
    ),
    gauge('process_resident_memory_bytes', 'Resident memory of the daemon.', one(rssBytes)),
    counter('process_cpu_seconds_total', 'Processor time of the daemon.', one(cpuSeconds)),
    gauge('process_open_fds', 'Open descriptors of the daemon.', one(openFds)),
  ];
}

function ofKeys({ keys }: Services): Family[] {
  const all = keys.listKeys();
  return [
    gauge(
      'keyvol_keys',
      'Master keys by state.',
      keyStates.map((state) => ({
        labels: { state },
        value: all.filter((key) => key.state === state).length,
      })),
    ),
    gauge(
      'keyvol_key_state',
      '1 for the state that the master key has.',
      all.flatMap((key) => stateSet({ key: key.alias, key_id: key.id }, keyStates, key.state)),
    ),
  ];
}

function labelsOf({ name, kind }: DiskMeasures): { disk: string; kind: string } {
  return { disk: name, kind };
}

function ofDisks({ disks }: Services, measured: readonly DiskMeasures[]): Family[] {
  const counts = disks.counts();
  return [
    gauge(
      'keyvol_disks',
      'Disks by kind.',
      (['volume', 'image', 'snapshot'] as const).map((kind) => ({
        labels: { kind },
        value: counts[`${kind}s`],
      })),
    ),
    gauge('keyvol_attached_disks', 'Attached disks.', one(counts.attached)),
    gauge('keyvol_mounted_disks', 'Mounted disks.', one(counts.mounted)),
    gauge('keyvol_unwell_disks', 'Disks that are not well.', one(disks.unwell().length)),
    gauge(
      'keyvol_disk_health',
      '1 for the health that the attached disk has.',
      measured.flatMap((disk) => stateSet(labelsOf(disk), healthStates, disk.health)),
    ),
  ];
}

function ofGates(disks: readonly DiskMeasures[]): Family[] {
  const each = (value: (disk: DiskMeasures) => number): Sample[] =>
    disks.map((disk) => ({ labels: labelsOf(disk), value: value(disk) }));
  return [
    gauge(
      'keyvol_disk_gate_state',
      '1 for the state that the gate of the attached disk has.',
      disks.flatMap((disk) => stateSet(labelsOf(disk), gateStates, disk.stats?.gate ?? 'closed')),
    ),
    gauge(
      'keyvol_disk_poisoned',
      '1 after a failed flush, until the disk is attached again.',
      each(({ stats }) => Number(stats?.poisoned ?? false)),
    ),
    gauge(
      'keyvol_disk_layers',
      'Layers under it.',
      each(({ stats }) => stats?.layers ?? 0),
    ),
    gauge(
      'keyvol_disk_top_layer_bytes',
      'Host bytes of its own top layer.',
      each(({ stats }) => stats?.allocatedBytes ?? 0),
    ),
    counter(
      'keyvol_disk_bytes_total',
      'Bytes read and written since it was attached or the daemon started.',
      disks.flatMap((disk) => [
        { labels: { ...labelsOf(disk), operation: 'read' }, value: disk.stats?.readBytes ?? 0 },
        { labels: { ...labelsOf(disk), operation: 'write' }, value: disk.stats?.writtenBytes ?? 0 },
      ]),
    ),
  ];
}

function ofRequests(disks: readonly DiskMeasures[]): Family[] {
  return [
    counter(
      'keyvol_disk_operation_errors_total',
      'Requests that were refused or failed.',
      eachOperation(disks, ({ errors }, labels) => ({ labels, value: errors })),
    ),
    {
      name: 'keyvol_disk_operation_seconds',
      help: 'How long requests took inside the daemon, waiting included.',
      type: 'histogram',
      samples: eachOperation(disks, ({ buckets, seconds }, labels): HistogramSample => ({
        labels,
        buckets: buckets.map(({ upToSeconds, count }) => ({ upTo: upToSeconds, count })),
        sum: seconds,
      })),
    },
  ];
}

function eachOperation<Result>(
  disks: readonly DiskMeasures[],
  sampleOf: (counts: OperationCounts, labels: Record<string, string>) => Result,
): Result[] {
  const ofDevice = (disk: DiskMeasures, device: Operations): Result[] =>
    operations.map((operation) => sampleOf(device[operation], { ...labelsOf(disk), operation }));
  return disks.flatMap((disk) =>
    disk.operations === undefined ? [] : ofDevice(disk, disk.operations),
  );
}
