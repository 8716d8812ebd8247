/**
 * What an image service is for: a Linux that somebody made becomes an image, its clones are booted
 * by a virtual machine, and each keeps what its own guest changed. The guest's firmware, GRUB,
 * kernel and ext4 are the judges, all of them through the NBD export.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import {
  bootGuest,
  bootsOn,
  checkGuestFilesystem,
  makeGuestDisk,
  whyNoGuest,
} from '../support/guest.js';
import { must, startWorld, type World } from '../support/world.js';

interface Attached {
  readonly attachment: { readonly uri: string };
}

/** Attached over NBD for as long as the guest runs; what it said. */
async function boot(world: World, volume: string): Promise<string> {
  const attached = await world.json<Attached>('volume', 'attach', volume, '--nbd');
  try {
    return await bootGuest(attached.attachment.uri);
  } finally {
    await world.keyvol('volume', 'detach', volume);
  }
}

t.test(
  'clones of a Linux boot over NBD and keep their changes',
  { skip: whyNoGuest() },
  async (t) => {
    const world = await startWorld(t);
    const made = join(world.directory, 'made');
    mkdirSync(made);
    const raw = await makeGuestDisk(made);
    const qcow2 = join(world.directory, 'linux.qcow2');
    await must('qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', raw, qcow2);

    await world.keyvol('image', 'create', 'linux', '--file', qcow2);
    await world.keyvol('volume', 'create', 'web', '--image', 'linux');
    await world.keyvol('volume', 'create', 'db', '--image', 'linux');

    t.match(await boot(world, 'web'), /^boots of this disk: 1\r$/m);
    t.match(await boot(world, 'web'), /^boots of this disk: 2\r$/m);
    t.match(await boot(world, 'db'), /^boots of this disk: 1\r$/m, 'another clone begins anew');

    await world.keyvol('volume', 'attach', 'web', '--read-only');
    t.equal(await bootsOn(world.volumePath('web')), '2');
    await checkGuestFilesystem(world.volumePath('web'));
    await world.keyvol('image', 'attach', 'linux');
    await must('cmp', world.imagePath('linux'), raw);
  },
);
