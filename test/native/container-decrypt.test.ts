// The whole format at once: what our cipher writes into a container's data area must be what stock
// cryptsetup decrypts with the exported key.
import { randomBytes } from 'node:crypto';
import { openSync, readFileSync, writeSync, closeSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { addon } from '../../dist/device/index.js';
import { cryptsetup, dataOffsetBytes, hasCryptsetup, newContainer } from '../support/containers.js';
import { encrypted } from '../support/encrypted.js';
import { tempDirectory } from '../support/temp.js';

const sizeBytes = 4 * 1024 * 1024;

t.test(
  'cryptsetup decrypts every sector',
  { skip: !hasCryptsetup && 'cryptsetup is not installed' },
  async (t) => {
    const directory = tempDirectory(t);
    const { path, dataKey } = await newContainer(directory, sizeBytes);
    const plain = randomBytes(sizeBytes);
    writeData(path, encrypted(dataKey, plain));
    decryptInPlace(directory, path);
    t.ok(readFileSync(path).subarray(0, sizeBytes).equals(plain));

    function decryptInPlace(directory: string, path: string): void {
      const [keyFile, passphraseFile] = [join(directory, 'key'), join(directory, 'passphrase')];
      addon.exportKeyFile(dataKey, keyFile);
      writeFileSync(passphraseFile, 'passphrase');
      cryptsetup([
        ...['luksAddKey', '--batch-mode', '--volume-key-file', keyFile, '--key-size', '512'],
        ...['--pbkdf', 'pbkdf2', '--pbkdf-force-iterations', '1000', path, passphraseFile],
      ]);
      cryptsetup([
        ...['reencrypt', '--decrypt', '--batch-mode', '--force-offline-reencrypt'],
        ...['--header', join(directory, 'exported-header'), '--key-file', passphraseFile, path],
      ]);
    }
  },
);

function writeData(path: string, data: Buffer): void {
  const file = openSync(path, 'r+');
  writeSync(file, data, 0, data.length, dataOffsetBytes);
  closeSync(file);
}
