// What is asked of an export must fit its format: a passphrase that is given and not used, say,
// would be taken for a protection.
import t from 'tap';
import type { DiskExport } from '../../dist/api/types.js';
import { startApi } from '../support/api.js';

const exported = { file: '/f', sizeBytes: 4096, dataBytes: 0 };
const socket = { passphrase_socket: '/s' };

const refused: readonly (readonly [DiskExport, string])[] = [
  [{ file: '/f', ...socket }, 'an export as raw has no passphrase'],
  [{ file: '/f', format: 'raw', pbkdf: 'pbkdf2' }, 'an export as raw has no pbkdf'],
  [{ file: '/f', format: 'luks2' }, 'an export as luks2 needs a passphrase_socket'],
  [
    { file: '/f', format: 'luks2', plaintext: true, ...socket },
    'an export as luks2 is not plaintext',
  ],
];

t.test('what does not fit is refused', async (t) => {
  const none = { export: () => t.fail('no use case is reached') };
  const { client } = await startApi(t, { disks: { volumes: none, images: none } });
  for (const [target, message] of refused) {
    const expected = { code: 'INVALID_ARGUMENT', message };
    await t.rejects(client.exportVolume('v', target), expected);
    await t.rejects(client.exportImage('i', target), expected);
  }
});

t.test('what is left out has a default', async (t) => {
  const asked: unknown[] = [];
  const images = { export: (...[, target]: unknown[]) => (asked.push(target), exported) };
  const { client } = await startApi(t, { disks: { images } });
  await client.exportImage('i', { file: '/f' });
  await client.exportImage('i', { file: '/f', format: 'luks2', ...socket });
  await client.exportImage('i', { file: '/f', format: 'luks2', pbkdf: 'argon2id', ...socket });
  const luks2 = { format: 'luks2', file: '/f', passphraseSocket: '/s' };
  t.strictSame(asked, [
    { format: 'raw', file: '/f', plaintext: false },
    { ...luks2, pbkdf: 'pbkdf2' },
    { ...luks2, pbkdf: 'argon2id' },
  ]);
});
