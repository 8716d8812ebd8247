/**
 * A Linux for a virtual machine: a disk that a BIOS boots, of what `npm run setup` has fetched into
 * build-guest, and QEMU to boot it, in software, for not every machine lets others in.
 */
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  openSync,
  closeSync,
  readFileSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import { command, must } from './world.js';

const parts = resolve('build-guest');
const busybox = join(parts, 'busybox');

const sectorBytes = 512;
const diskBytes = 64 << 20;
/** Where the partition begins; GRUB lies before it. */
const partitionBytes = 1 << 20;

/** Each after those that it needs. */
const modules = [
  'virtio_ring',
  'virtio',
  'virtio_pci_legacy_dev',
  'virtio_pci_modern_dev',
  'virtio_pci',
  'virtio_blk',
];

const grubConfig = `linux /boot/vmlinuz console=ttyS0 quiet panic=-1
initrd /boot/initrd
boot
`;

const initOfMemory = `#!/bin/busybox sh
for module in ${modules.join(' ')}; do
  /bin/busybox insmod /modules/$module.ko
done
/bin/busybox mount -t devtmpfs none /dev
/bin/busybox mount -t ext4 /dev/vda1 /disk
exec /bin/busybox switch_root /disk /sbin/init
`;

const initOfDisk = `#!/bin/busybox sh
/bin/busybox mount -t devtmpfs none /dev
boots=$(($(/bin/busybox cat /boots) + 1))
echo $boots >/boots
/bin/busybox sync
echo "boots of this disk: $boots" >/dev/ttyS0
/bin/busybox mount -o remount,ro /
/bin/busybox poweroff -f
`;

/** Why no virtual machine can be booted here; false if one can. */
export function whyNoGuest(): string | false {
  return existsSync(join(parts, 'vmlinuz')) ? false : 'setup could not fetch a Linux to boot';
}

/**
 * A raw disk, made below `directory`: a partition table, GRUB, and an ext4 with Debian's kernel,
 * whose init counts its boots in /boots, says which it is on the serial console, and powers off.
 */
export async function makeGuestDisk(directory: string): Promise<string> {
  const disk = join(directory, 'guest.raw');
  const root = join(directory, 'root');
  await makeRoot(directory, root);
  writeFileSync(disk, '');
  truncateSync(disk, diskBytes);
  const place = ['-E', `offset=${partitionBytes}`, disk, `${(diskBytes - partitionBytes) >> 10}k`];
  await must('mke2fs', '-q', '-t', 'ext4', '-d', root, ...place);
  await makeBootable(directory, disk);
  return disk;
}

/**
 * Boots the disk that QEMU knows by this name, and returns what the guest said on its serial
 * console until it powered off. Throws with that when it does not, within two minutes.
 */
export async function bootGuest(disk: string): Promise<string> {
  const machine = ['-machine', 'pc,accel=tcg', '-m', '256', '-display', 'none', '-nic', 'none'];
  const console = ['-monitor', 'none', '-serial', 'stdio', '-no-reboot'];
  const drive = ['-drive', `file=${disk},format=raw,if=virtio`];
  const limit = ['--signal=KILL', '120'];
  const qemu = ['qemu-system-x86_64', ...machine, ...console, ...drive];
  const { status, stdout, stderr } = await command('timeout', ...limit, ...qemu);
  if (status !== 0) throw new Error(`qemu gave ${status}: ${stderr}; the guest said: ${stdout}`);
  return stdout;
}

/** /boots in the filesystem of a disk that is not in use, by e2fsprogs. */
export async function bootsOn(disk: string): Promise<string> {
  return (await must('debugfs', '-R', 'cat /boots', `${disk}?offset=${partitionBytes}`)).trim();
}

/** Throws with what is wrong with the filesystem of a disk that is not in use. */
export async function checkGuestFilesystem(disk: string): Promise<void> {
  await must('e2fsck', '-fn', `${disk}?offset=${partitionBytes}`);
}

async function makeRoot(directory: string, root: string): Promise<void> {
  for (const name of ['boot/grub', 'bin', 'sbin', 'dev']) {
    mkdirSync(join(root, name), { recursive: true });
  }
  cpSync(join(parts, 'vmlinuz'), join(root, 'boot/vmlinuz'));
  cpSync(busybox, join(root, 'bin/busybox'));
  writeFileSync(join(root, 'boot/grub/grub.cfg'), grubConfig);
  writeFileSync(join(root, 'boots'), '0\n');
  writeProgram(join(root, 'sbin/init'), initOfDisk);
  await makeInitrd(join(directory, 'initrd'), join(root, 'boot/initrd'));
}

/** Of what lies in `directory`, made for it. */
async function makeInitrd(directory: string, initrd: string): Promise<void> {
  for (const name of ['modules', 'bin', 'dev', 'disk']) {
    mkdirSync(join(directory, name), { recursive: true });
  }
  cpSync(busybox, join(directory, 'bin/busybox'));
  for (const name of modules) {
    cpSync(join(parts, 'modules', `${name}.ko`), join(directory, 'modules', `${name}.ko`));
  }
  writeProgram(join(directory, 'init'), initOfMemory);
  const pack = 'cd "$1" && find . | "$2" cpio --quiet -o -H newc >"$3"';
  await must('sh', '-c', pack, 'sh', directory, busybox, initrd);
}

/**
 * What grub-install does with a loop device: the boot record's code, which loads the sector after
 * it, and there GRUB's core; the partition table lies in between.
 */
async function makeBootable(directory: string, disk: string): Promise<void> {
  const core = join(directory, 'core.img');
  const grub = ['--directory', join(parts, 'grub'), '--format', 'i386-pc', '--output', core];
  const needed = ['biosdisk', 'part_msdos', 'ext2', 'linux', 'normal'];
  await must('grub-mkimage', ...grub, '--prefix', '(hd0,msdos1)/boot/grub', ...needed);
  const file = openSync(disk, 'r+');
  try {
    writeSync(file, readFileSync(join(parts, 'grub/boot.img')), 0, 440, 0);
    writeSync(file, partitionTable(), 0, 66, 446);
    writeSync(file, readFileSync(core), 0, null, sectorBytes);
  } finally {
    closeSync(file);
  }
}

/** The end of a boot record: one active Linux partition up to the end of the disk. */
function partitionTable(): Buffer {
  const table = Buffer.alloc(66);
  table[0] = 0x80;
  table[4] = 0x83;
  table.writeUInt32LE(partitionBytes / sectorBytes, 8);
  table.writeUInt32LE((diskBytes - partitionBytes) / sectorBytes, 12);
  table.writeUInt16LE(0xaa55, 64);
  return table;
}

function writeProgram(path: string, text: string): void {
  writeFileSync(path, text);
  chmodSync(path, 0o755);
}
