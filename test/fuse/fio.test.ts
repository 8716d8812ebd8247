/** fio writes blocks that carry their own checksums and reads them back, at all block sizes. */
import { join } from 'node:path';
import t from 'tap';
import { mountVolume, noFuse, run } from '../support/fuse.js';
import { MIB } from '../support/layers.js';

const sizeBytes = 64 * MIB;

for (const direct of [0, 1]) {
  void t.test(
    `fio finds every block as it wrote it, direct=${direct}`,
    { skip: noFuse },
    async (t) => {
      const { path, directory } = await mountVolume(t, sizeBytes);
      const { code, stdout, stderr } = await run(
        'fio',
        '--name=verify',
        `--filename=${path}`,
        '--rw=randrw',
        '--bsrange=512-1M',
        '--bs_unaligned',
        `--size=${sizeBytes}`,
        `--direct=${direct}`,
        direct === 1 ? '--ioengine=libaio' : '--ioengine=psync',
        '--iodepth=16',
        '--verify=crc32c',
        '--verify_fatal=1',
        '--verify_state_save=0',
        '--fsync=200',
        '--randrepeat=0',
        `--aux-path=${directory}`,
        '--output-format=json',
        `--output=${join(directory, 'fio.json')}`,
      );
      t.equal(code, 0, `${stdout}${stderr}`);
    },
  );
}
