/**
 * NBD for other hosts: only over TLS 1.3, only for who has a certificate of the authority or a
 * shared key, and nothing before that, not even names. libnbd and QEMU, which use GnuTLS, judge.
 */
import { randomBytes } from 'node:crypto';
import { chmodSync, copyFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { connect as tlsConnect } from 'node:tls';
import { once } from 'node:events';
import { join } from 'node:path';
import t from 'tap';
import { addon, type Device, type NbdServer } from '../../dist/device/index.js';
import { run, runOk } from '../support/fuse.js';
import { MIB, newLayer, openStack } from '../support/layers.js';
import { command, infoRequest, option, optionReply, RawClient } from '../support/nbd.js';
import { runDaemon, startDaemon } from '../support/daemon.js';
import { tempDirectory, type Teardown } from '../support/temp.js';
import { issue, newAuthority, shareKeys } from '../support/tls.js';
import { eventually } from '../support/wait.js';

interface Served {
  readonly server: NbdServer;
  readonly device: Device;
  readonly directory: string;
}

async function serve(
  t: Teardown,
  credentials: (directory: string) => string,
  address = '127.0.0.1',
): Promise<Served> {
  const directory = tempDirectory(t);
  const device = await openStack(t, [newLayer(directory, 16 * MIB)]);
  const tls = { address, port: 0, directory: credentials(directory) };
  const server = addon.serveNbd({ socketPath: join(directory, 'nbd.sock'), tls });
  t.teardown(() => server.end());
  server.add({ id: 'disk', name: 'disk', device, readOnly: false });
  server.serve();
  return { server, device, directory };
}

const serverCertificate = (directory: string): string =>
  issue(newAuthority(join(directory, 'ca')), join(directory, 'server'), 'server');
const authorityIn = (directory: string) => ({
  certificate: join(directory, 'ca', 'ca-cert.pem'),
  key: join(directory, 'ca', 'ca-key.pem'),
});
const certificateUri = ({ server }: Pick<Served, 'server'>, certificates: string): string =>
  `nbds://127.0.0.1:${String(server.tlsPort)}/disk?tls-certificates=${certificates}`;
const keyUri = ({ server }: Pick<Served, 'server'>, name: string, keys: string): string =>
  `nbds://${name}@127.0.0.1:${String(server.tlsPort)}/disk?tls-psk-file=${join(keys, 'keys.psk')}`;

t.test('who has a certificate of the authority reads and writes', async (t) => {
  const served = await serve(t, serverCertificate);
  const { directory } = served;
  const client = issue(authorityIn(directory), join(directory, 'client'), 'client');
  const uri = certificateUri(served, client);
  t.match(await runOk('nbdinfo', uri), /protocol: newstyle-fixed with TLS/);
  const source = join(directory, 'source');
  writeFileSync(source, randomBytes(16 * MIB));
  await runOk('nbdcopy', '--connections=4', '--requests=32', source, uri);
  const out = join(directory, 'out');
  await runOk('nbdcopy', uri, out);
  t.match(await run('cmp', source, out), { code: 0 });
  const qemu = [
    ...['--object', `tls-creds-x509,id=tls0,endpoint=client,dir=${client}`, '--image-opts'],
    `driver=nbd,host=127.0.0.1,port=${String(served.server.tlsPort)},export=disk,tls-creds=tls0`,
  ];
  t.match(await runOk('qemu-img', 'info', ...qemu), /16 MiB/);
});

t.test('who has none, or one of another authority, gets nothing', async (t) => {
  const served = await serve(t, serverCertificate);
  const { directory } = served;
  const stranger = newAuthority(join(directory, 'other-ca'));
  const client = issue(stranger, join(directory, 'client'), 'client');
  t.match(await run('nbdinfo', certificateUri(served, client)), { code: 1 });
  const half = issue(authorityIn(directory), join(directory, 'half'), 'client');
  t.match(await run('rm', join(half, 'client-cert.pem'), join(half, 'client-key.pem')), {
    code: 0,
  });
  t.match(await run('nbdinfo', certificateUri(served, half)), { code: 1 });
  t.equal(served.server.connections('disk'), 0);
});

t.test('who has a shared key comes in, under its name only', async (t) => {
  const served = await serve(t, (directory) => shareKeys(join(directory, 'psk'), 'ann', 'bob'));
  const { directory } = served;
  const keys = join(directory, 'psk');
  t.match(await runOk('nbdinfo', keyUri(served, 'ann', keys)), /with TLS/);
  t.match(await runOk('nbdinfo', keyUri(served, 'bob', keys)), /with TLS/);
  const wrong = shareKeys(join(directory, 'wrong'), 'ann', 'eve');
  t.match(await run('nbdinfo', keyUri(served, 'ann', wrong)), { code: 1 }, 'another key');
  t.match(await run('nbdinfo', keyUri(served, 'eve', wrong)), { code: 1 }, 'another name');
});

t.test('certificates and keys are taken together', async (t) => {
  const both = (directory: string): string => {
    const server = serverCertificate(directory);
    const keys = shareKeys(join(directory, 'psk'), 'ann');
    copyFileSync(join(keys, 'keys.psk'), join(server, 'keys.psk'));
    return server;
  };
  const served = await serve(t, both);
  const { directory } = served;
  const client = issue(authorityIn(directory), join(directory, 'client'), 'client');
  t.match(await runOk('nbdinfo', certificateUri(served, client)), /with TLS/);
  t.match(await runOk('nbdinfo', keyUri(served, 'ann', join(directory, 'psk'))), /with TLS/);
});

/** The first client in the clear: what a server must tell it is the same for all. */
async function inTheClear(t: Teardown, { server }: Served): Promise<RawClient> {
  const socket = connect(server.tlsPort, '127.0.0.1');
  t.teardown(() => socket.destroy());
  const client = RawClient.on(socket);
  await once(socket, 'connect');
  await client.receive(18);
  client.send(Buffer.from([0, 0, 0, 3]));
  return client;
}

const withKey = (directory: string): string => shareKeys(join(directory, 'psk'), 'ann');

t.test('in the clear nothing is told but that TLS is required', async (t) => {
  const served = await serve(t, withKey);
  const client = await inTheClear(t, served);
  for (const [number, data] of [
    [option.list, Buffer.alloc(0)],
    [option.info, infoRequest('disk')],
    [option.go, infoRequest('disk')],
    [option.structuredReply, Buffer.alloc(0)],
    [option.listMetaContext, infoRequest('disk')],
    [99, Buffer.alloc(65536)],
  ] as const) {
    t.match(await client.ask(number, data), [
      { type: optionReply.tlsRequired, data: Buffer.alloc(0) },
    ]);
  }
  t.match(await client.ask(option.startTls, Buffer.from('x')), [{ type: optionReply.invalid }]);
  client.sendOption(option.exportName, Buffer.from('disk'));
  t.equal((await client.end()).length, 0);
  const plain = await run(
    'qemu-img',
    'info',
    `nbd://127.0.0.1:${String(served.server.tlsPort)}/disk`,
  );
  t.match(plain, { code: 1, stderr: /TLS negotiation required/ });
});

t.test('what is slipped in behind the request for TLS never counts', async (t) => {
  const served = await serve(t, withKey);
  const client = await inTheClear(t, served);
  const slipped = Buffer.concat([Buffer.from('IHAVEOPT'), Buffer.from([0, 0, 0, 3, 0, 0, 0, 0])]);
  client.sendOption(option.startTls);
  client.send(slipped);
  const said = await client.end();
  t.equal(said.readUInt32BE(12), optionReply.ack);
  // The alert of a TLS server that has met something else.
  t.ok(said.length < 64);
  t.equal(served.server.connections('disk'), 0);
});

t.test('a client that does not come to the point is let go after ten seconds', async (t) => {
  const served = await serve(t, withKey);
  const waiting = await Promise.all(Array.from({ length: 16 }, () => inTheClear(t, served)));
  const socket = connect(served.server.tlsPort, '127.0.0.1');
  t.teardown(() => socket.destroy());
  const first = await Promise.race([
    once(socket, 'data').then(() => 'greeted'),
    once(socket, 'close').then(() => 'closed'),
  ]);
  t.equal(first, 'closed', 'one more than may be unknown');
  const started = performance.now();
  await waiting[0]?.end();
  t.ok(performance.now() - started < 12_000);
  await Promise.all(waiting.map((client) => client.end()));
  t.match(await runOk('nbdinfo', keyUri(served, 'ann', join(served.directory, 'psk'))), /with TLS/);
});

/** A client that Node's TLS makes of a shared key, ready to ask of the export. */
async function overTls(t: Teardown, served: Served): Promise<RawClient> {
  const clear = connect(served.server.tlsPort, '127.0.0.1');
  t.teardown(() => clear.destroy());
  const before = RawClient.on(clear);
  await once(clear, 'connect');
  await before.receive(18);
  before.send(Buffer.from([0, 0, 0, 3]));
  await before.ask(option.startTls);
  clear.removeAllListeners('data');
  const line = readFileSync(join(served.directory, 'psk', 'keys.psk'), 'latin1').trim();
  const psk = Buffer.from(line.split(':')[1] ?? '', 'hex');
  const secure = tlsConnect({
    socket: clear,
    minVersion: 'TLSv1.3',
    ciphers: 'TLS_AES_128_GCM_SHA256',
    checkServerIdentity: () => undefined,
    pskCallback: () => ({ psk, identity: 'ann' }),
  });
  const client = RawClient.on(secure);
  await once(secure, 'secureConnect');
  await client.ask(option.go, infoRequest('disk'));
  return client;
}

t.test('a client that goes is noticed, while all it has sent waits for a key', async (t) => {
  const { server, device, directory } = await serve(t, withKey);
  const client = await overTls(t, { server, directory, device });
  t.equal(server.connections('disk'), 1);
  await device.cutOff(500, 'suspend');
  // More than a thread takes at once, and less than all buffers on the way hold: behind what the
  // client's own host still has, nothing can tell that it is gone.
  client.request({ command: command.write, data: Buffer.alloc(400 * 1024, 7) });
  await new Promise((resolve) => setTimeout(resolve, 500));
  t.equal(server.connections('disk'), 1, 'it waits');
  client.socket.destroy();
  await eventually(() => server.connections('disk') === 0);
  t.equal(server.connections('disk'), 0);
});

t.test('a client that reads nothing loses its connection all the same', async (t) => {
  const { server, device, directory } = await serve(t, withKey);
  const client = await overTls(t, { server, directory, device });
  client.socket.pause();
  for (let i = 0; i < 64; i += 1) client.request({ command: command.read, length: 4 * MIB });
  await new Promise((resolve) => setTimeout(resolve, 300));
  server.disconnect('disk');
  await eventually(() => server.connections('disk') === 0);
  // Throws BUSY when anything is left.
  await server.end();
  t.equal(server.connections('disk'), 0);
});

t.test('the server ends while a handshake is under way', async (t) => {
  const served = await serve(t, withKey);
  const client = await inTheClear(t, served);
  await served.server.end();
  t.equal((await client.end()).length, 0);
});

const hex = '0'.repeat(64);
for (const [what, file, content, mode, code] of [
  ['nothing', 'unused', '', 0o600, 'FILE_NOT_FOUND'],
  ['keys that others can read', 'keys.psk', `a:${hex}\n`, 0o644, 'KEY_FILE_INVALID'],
  ['an empty file of keys', 'keys.psk', '', 0o600, 'KEY_FILE_INVALID'],
  ['only a comment', 'keys.psk', '# none\n', 0o600, 'KEY_FILE_INVALID'],
  ['a key without a name', 'keys.psk', `:${hex}\n`, 0o600, 'KEY_FILE_INVALID'],
  ['a short key', 'keys.psk', 'a:0123\n', 0o600, 'KEY_FILE_INVALID'],
  ['a key of an odd length', 'keys.psk', `a:${hex}0\n`, 0o600, 'KEY_FILE_INVALID'],
  ['a key that is no number', 'keys.psk', `a:${'g'.repeat(64)}\n`, 0o600, 'KEY_FILE_INVALID'],
  ['a certificate that is none', 'server-cert.pem', 'x', 0o600, 'KEY_FILE_INVALID'],
] as const) {
  t.test(`credentials with ${what} are refused, and nothing is listened on`, (t) => {
    const directory = tempDirectory(t);
    writeFileSync(join(directory, file), content, { mode });
    chmodSync(join(directory, file), mode);
    const socketPath = join(directory, 'nbd.sock');
    const tls = { address: '127.0.0.1', port: 0, directory };
    t.throws(() => addon.serveNbd({ socketPath, tls }), { code });
    t.notOk(readdirSync(directory).includes('nbd.sock'));
    t.end();
  });
}

t.test('an address that is none, and a port that is taken, are refused', async (t) => {
  const { server, directory } = await serve(t, withKey);
  const again = (address: string, port: number) => () =>
    addon.serveNbd({
      socketPath: join(directory, 'other.sock'),
      tls: { address, port, directory: join(directory, 'psk') },
    });
  t.throws(again('127.0.0.1', server.tlsPort), { code: 'BUSY' });
  t.throws(again('localhost', 0), { code: 'INVALID_ARGUMENT' });
  t.throws(again('203.0.113.9', 0), { code: 'INVALID_ARGUMENT' });
});

t.test('keyvold serves other hosts by its flags, and says where', async (t) => {
  const keys = shareKeys(join(tempDirectory(t), 'psk'), 'ann');
  const args = ['--nbd-listen', '[::1]:0', '--nbd-tls', keys];
  const { client } = await startDaemon(t, { fuseDriver: 'none', args });
  const { nbd } = await client.status();
  t.match(nbd, [/^nbd\+unix:\/\/\?socket=.*nbd.sock$/, /^nbds:\/\/\[::1\]:\d+$/]);
  await client.createVolume({ name: 'db', size: 16 * MIB });
  const { attachment } = await client.attachVolume('db', { transport: 'nbd' });
  t.match(attachment, { transport: 'nbd', gate: 'open' });
  const uri = (nbd[1] ?? '').replace('//', '//ann@');
  const keyFile = join(keys, 'keys.psk');
  t.match(await runOk('nbdinfo', `${uri}/volumes/db?tls-psk-file=${keyFile}`), /with TLS/);
});

for (const [what, args, status, says] of [
  ['only an address', ['--nbd-listen', '127.0.0.1:0'], 2, /needs --nbd-tls, too/],
  ['only credentials', ['--nbd-tls', '/nowhere'], 2, /needs --nbd-listen, too/],
  ['a name', ['--nbd-listen', 'localhost:0', '--nbd-tls', '/'], 2, /no numeric address/],
  [
    'no credentials',
    ['--nbd-listen', '127.0.0.1:0', '--nbd-tls', '/nowhere'],
    3,
    /neither server-cert.pem nor keys.psk[^]*hint: \/nowhere must hold/,
  ],
] as const) {
  t.test(`keyvold does not start with ${what}`, async (t) => {
    const ended = await runDaemon(t, { fuseDriver: 'none', args: [...args] });
    t.match(ended, { status, output: says });
  });
}
