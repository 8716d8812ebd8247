// What the kernel has mounted below a directory, and how a test gets rid of it.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';

/** Loop devices whose file lies below `directory`. */
export function loopsBelow(directory: string): string[] {
  return readdirSync('/sys/block')
    .filter((name) => backingFileOf(name).startsWith(`${directory}/`))
    .map((name) => `/dev/${name}`);
}

/** Directories where something of `directory` is mounted: in it, or from a loop device on it. */
export function mountsOf(directory: string): string[] {
  const loops = new Set(loopsBelow(directory));
  return readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' '))
    .filter(([source = '', at = '']) => at.startsWith(`${directory}/`) || loops.has(source))
    .map(([, at = '']) => at);
}

/** Unmounts and detaches all of it; with `remove` the directory's temporary parent goes, too. */
export function removeMounts(directory: string, remove: boolean): void {
  for (const pid of holdersBelow(directory)) process.kill(pid, 'SIGKILL');
  const loops = loopsBelow(directory);
  for (const at of mountsOf(directory).reverse()) {
    // A frozen filesystem that is unmounted could never be thawed; most are not frozen, and it fails.
    spawnSync('fsfreeze', ['--unfreeze', at]);
    execFileSync('umount', ['--lazy', at]);
  }
  for (const loop of loops) execFileSync('losetup', ['--detach', loop]);
  if (remove) rmSync(dirname(directory), { recursive: true, force: true });
}

/** The holders of mounts there, which keep them for a next daemon. */
export function holdersBelow(directory: string): number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.filter((pid) => isHolderOf(directory, pid)).map(Number);
}

function isHolderOf(directory: string, pid: string): boolean {
  try {
    const [program = '', socket = ''] = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    return program.endsWith('/keyvol-holder') && socket.startsWith(`${directory}/`);
  } catch {
    return false; // It has ended.
  }
}

function backingFileOf(name: string): string {
  const file = `/sys/block/${name}/loop/backing_file`;
  return existsSync(file) ? readFileSync(file, 'utf8').trim() : '';
}
