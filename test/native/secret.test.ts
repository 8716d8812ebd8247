// Key memory must be readable by nobody else, given back when released, and run out politely.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { addon, type Secret } from '../../dist/device/index.js';
import { tempDirectory } from '../support/temp.js';

t.test('a secret has 1 to 4096 bytes', (t) => {
  for (const lengthBytes of [1, 63, 64, 65, 4095, 4096]) {
    const secret = addon.randomSecret(lengthBytes);
    t.equal(secret.lengthBytes, lengthBytes);
    secret.release();
  }
  for (const lengthBytes of [0, 4097, -1, 1.5, Number.NaN, Number.MAX_SAFE_INTEGER]) {
    t.throws(() => addon.randomSecret(lengthBytes), { code: 'INVALID_ARGUMENT' });
  }
  t.end();
});

t.test('a released secret is refused, and can be released again', (t) => {
  const secret = addon.generateDataKey();
  t.equal(secret.released, false);
  secret.release();
  secret.release();
  t.equal(secret.released, true);
  t.throws(() => addon.exportKeyFile(secret, join(tempDirectory(t), 'key')), {
    code: 'INVALID_ARGUMENT',
  });
  t.end();
});

t.test('what is no secret is refused', (t) => {
  // Every value is one that TypeScript would refuse.
  const others = [undefined, null, {}, Buffer.alloc(64), 'secret'] as unknown as Secret[];
  // A handle that script constructs holds nothing.
  const Handle = addon.randomSecret(32).constructor as new () => Secret;
  for (const other of [...others, new Handle()]) {
    t.throws(() => addon.exportKeyFile(other, join(tempDirectory(t), 'key')), {
      code: 'INVALID_ARGUMENT',
    });
  }
  t.end();
});

t.test('secrets of all sizes keep their bytes while others come and go', (t) => {
  const directory = tempDirectory(t);
  const kept = Array.from({ length: 300 }, (_, i) => {
    const bytes = Buffer.alloc(1 + ((i * 37) % 500), i + 1);
    addon.randomSecret(1 + ((i * 61) % 4096)).release();
    return { bytes, secret: addon.secretFromTestKey(bytes) };
  });
  const changed = kept.filter(({ bytes, secret }, i) => {
    const path = join(directory, String(i));
    addon.exportKeyFile(secret, path);
    secret.release();
    return !readFileSync(path).equals(bytes);
  });
  t.same(changed, []);
  t.end();
});

t.test('key memory runs out with a fault, and comes back', (t) => {
  const secrets: Secret[] = [];
  t.throws(
    () => {
      for (;;) secrets.push(addon.randomSecret(4096));
    },
    { code: 'NO_SPACE' },
  );
  t.ok(secrets.length >= 100, `${secrets.length} pages of secrets`);
  for (const secret of secrets) secret.release();
  t.equal(addon.randomSecret(4096).lengthBytes, 4096);
  t.end();
});

t.test('the process cannot even read its own keys through /proc', (t) => {
  if (!addon.secretMemoryIsHidden()) {
    t.pass('this kernel has no memfd_secret');
    return t.end();
  }
  const script = `
    import { readFileSync, openSync, readSync } from 'node:fs';
    import { addon } from ${JSON.stringify(new URL('../../dist/device/index.js', import.meta.url).href)};
    addon.randomSecret(64);
    const mapping = readFileSync('/proc/self/maps', 'utf8').split('\\n')
      .find((line) => line.includes('secretmem'));
    const start = Number.parseInt(mapping.split('-')[0], 16);
    try {
      readSync(openSync('/proc/self/mem', 'r'), Buffer.alloc(64), 0, 64, start);
      console.log('readable');
    } catch (error) {
      console.log(error.code);
    }`;
  const answer = execFileSync(process.execPath, ['--input-type=module', '-e', script]);
  t.equal(answer.toString().trim(), 'EIO');
  t.end();
});
