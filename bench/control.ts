/** How long create, clone and image of 10 GiB take: by the CLI, and by what it calls. */
import { takeTurns, type Bench } from './bench.js';
import { KeyvolDaemon } from './keyvol-daemon.js';
import type { Backing } from './stage.js';

const size = '10G';
const sizeBytes = 10 * 2 ** 30;

type Act = (daemon: KeyvolDaemon, id: string) => Promise<unknown>;

interface Step {
  readonly job: string;
  readonly api: Act;
  readonly cli: Act;
}

/** In this order: each has what it needs from those before. */
const steps: readonly Step[] = [
  {
    job: 'create a volume of 10 GiB',
    api: ({ client }, id) => client.createVolume({ name: `v${id}`, size: sizeBytes }),
    cli: (daemon, id) => daemon.keyvol('volume', 'create', `v${id}`, '--size', size),
  },
  {
    job: 'attach a volume of 10 GiB',
    api: ({ client }, id) => client.attachVolume(`v${id}`, {}),
    cli: (daemon, id) => daemon.keyvol('volume', 'attach', `v${id}`),
  },
  {
    job: 'clone an attached volume of 10 GiB',
    api: ({ client }, id) => client.cloneVolume(`v${id}`, `c${id}`),
    cli: (daemon, id) => daemon.keyvol('volume', 'clone', `v${id}`, `c${id}`),
  },
  {
    job: 'image of an attached volume of 10 GiB',
    api: ({ client }, id) => client.createImage({ name: `i${id}`, volume: `v${id}` }),
    cli: (daemon, id) => daemon.keyvol('image', 'create', `i${id}`, '--volume', `v${id}`),
  },
];

export async function runControl(bench: Bench, backing: Backing): Promise<void> {
  if (!steps.some(({ job }) => bench.wantsJob('control', job))) return;
  const { stage, results } = bench;
  const daemon = await KeyvolDaemon.start(stage, stage.directory('control', backing.directory));
  try {
    // Each round's disks stay: the next step of the round needs them, and they are small.
    for (const step of steps) await runStep(bench, backing, daemon, step);
  } finally {
    await results.attempt('end of the control plane', () => daemon.stop());
  }
}

async function runStep(
  bench: Bench,
  backing: Backing,
  daemon: KeyvolDaemon,
  { job, api, cli }: Step,
): Promise<void> {
  const contenders = Object.entries({ API: api, CLI: cli }).map(([subject, act]) => ({
    subject,
    pids: [],
    turn: async (round: number) => {
      const id = `${subject}${round}`.toLowerCase();
      // One round stands for all in the report.
      bench.stage.shell.log.name(id, 'n');
      const startMs = performance.now();
      await act(daemon, id);
      return { value: performance.now() - startMs };
    },
  }));
  const contest = { suite: 'control', backing: backing.name, job, unit: 'ms' } as const;
  await takeTurns(bench, contest, contenders);
}
