/** Installs the Debian packages that the benchmark needs. */
import { readFileSync } from 'node:fs';
import type { Shell } from './shell.js';

const list = 'bench/debian-packages.txt';
const retries = ['-o', 'Acquire::Retries=3'];

/** Throws with the names of the packages that are missing and cannot be installed. */
export async function installPeers(shell: Shell): Promise<void> {
  const missing = await missingPackages(shell);
  if (missing.length === 0) return;
  process.stderr.write(`bench: installing Debian packages: ${missing.join(' ')}\n`);
  process.env['DEBIAN_FRONTEND'] = 'noninteractive';
  const install = ['install', '-q', '--yes', '--no-install-recommends', ...missing];
  try {
    await shell.run('apt-get', ...retries, 'update', '-q');
    await shell.run('apt-get', ...retries, ...install);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`cannot install ${missing.join(' ')}: ${why}`, { cause });
  }
}

/** Package and version of each peer that is installed. */
export async function peerVersions(shell: Shell): Promise<[name: string, version: string][]> {
  const names = packageNames();
  const versions = await Promise.all(names.map((name) => query(shell, name, '${Version}')));
  return names.map((name, index) => [name, versions[index] ?? '']);
}

async function missingPackages(shell: Shell): Promise<string[]> {
  const names = packageNames();
  const states = await Promise.all(names.map((name) => query(shell, name, '${db:Status-Status}')));
  return names.filter((_, index) => states[index] !== 'installed');
}

function packageNames(): string[] {
  const lines = readFileSync(list, 'utf8').split('\n');
  return lines.map((line) => line.replace(/#.*/, '').trim()).filter((name) => name !== '');
}

/** Empty for a package that dpkg has never heard of. */
async function query(shell: Shell, name: string, format: string): Promise<string> {
  return await shell.ask('dpkg-query', '-W', `-f=${format}`, name).catch(() => '');
}
