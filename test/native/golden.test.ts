/** What the first keyvol wrote opens for ever: container, token, wrapped data key and sectors. */
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import t from 'tap';
import { addon, type Secret } from '../../dist/device/index.js';
import { parseToken } from '../../dist/disk/token.js';
import { tempDirectory } from '../support/temp.js';

const sizeBytes = 256 * 1024;
const contentSha256 = 'fa27269eac9aead158b6f9d3ecdf9ac3469e717d6a81d1b7c876c607e7d86497';

/** As fixtures/golden/README.md says. */
function testKey(tag: string, lengthBytes: number): Secret {
  const blocks = Array.from({ length: lengthBytes / 32 }, (_, index) =>
    createHash('sha256').update(`keyvol test key ${tag} ${index}`).digest(),
  );
  return addon.secretFromTestKey(Buffer.concat(blocks));
}

t.test('a container of format 1', async (t) => {
  const path = join(tempDirectory(t), 'golden.luks');
  const fixture = new URL('../../fixtures/golden/format-1.luks.gz', import.meta.url);
  writeFileSync(path, gunzipSync(readFileSync(fixture)));

  const header = await addon.readContainerHeader(path);
  t.equal(header.damagedCopies, 0);
  const { wrapped, context } = parseToken(header.token, header.layerId);
  t.same(addon.readWrapLabel(wrapped), {
    keyId: context.key_id,
    keyVersion: 3,
    purpose: 'data-key',
  });
  const dataKey = addon.unwrapKey(testKey('wrapping', 32), wrapped, 'data-key', context);
  t.teardown(() => dataKey.release());
  await addon.verifyContainerKey(path, dataKey);

  const layer = { path, sizeBytes, dataKey, preallocated: false };
  const device = await addon.openDevice({ layers: [layer], writable: false });
  t.teardown(() => device.close());
  const content = Buffer.alloc(sizeBytes);
  await device.read(content, 0);
  t.match(content.toString('latin1'), /written by the first keyvol/);
  t.equal(createHash('sha256').update(content).digest('hex'), contentSha256);
});
