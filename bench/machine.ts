/** The machine and the versions, without anything that names one host. */
import { readFileSync } from 'node:fs';
import { arch, cpus, release, totalmem } from 'node:os';
import { peerVersions } from './peers.js';
import type { Shell } from './shell.js';
import type { Backing } from './stage.js';

export type Facts = readonly (readonly [name: string, value: string])[];

const notable = ['aes', 'avx2', 'vaes', 'vpclmulqdq', 'avx512f', 'avx512vl', 'hypervisor'];

export function cpuModel(): string {
  return cpus()[0]?.model.trim() ?? arch();
}

export async function machineFacts(shell: Shell, backings: readonly Backing[]): Promise<Facts> {
  const flags =
    /^flags\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1]?.split(' ') ?? [];
  const filesystems = await Promise.all(
    backings.map(async ({ name, directory }): Promise<[string, string]> => {
      const type = await shell.ask('findmnt', '-n', '-o', 'FSTYPE', '--target', directory);
      return [`filesystem of the ${name} backing`, type.trim()];
    }),
  );
  return [
    ['processor', `${cpuModel()}, ${cpus().length} threads`],
    ['of its features', notable.filter((flag) => flags.includes(flag)).join(' ')],
    ['memory', `${(totalmem() / 2 ** 30).toFixed(0)} GiB`],
    ['kernel', `Linux ${release()}`],
    [
      'distribution',
      /^PRETTY_NAME="(.*)"$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? '',
    ],
    ...filesystems,
  ];
}

export async function versionFacts(shell: Shell): Promise<Facts> {
  const revision = await shell
    .ask('git', '-C', process.cwd(), 'rev-parse', '--short', 'HEAD')
    .catch(() => 'unknown');
  // The version is all that is read of it.
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
  return [
    ['keyvol', `${version}, revision ${revision.trim()}`],
    ['Node', process.version],
    ['fuse-native', fuseNativeVersion()],
    ...(await peerVersions(shell)),
  ];
}

function fuseNativeVersion(): string {
  try {
    const text = readFileSync('node_modules/fuse-native/package.json', 'utf8');
    // As above.
    return (JSON.parse(text) as { version: string }).version;
  } catch {
    return 'not installed';
  }
}
