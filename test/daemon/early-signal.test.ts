// Until its first line runs Node answers SIGUSR1 by opening its inspector: the daemon begins again
// with an inspector that can listen nowhere, so that a signal at any moment opens no door.
import t from 'tap';
import { readFileSync } from 'node:fs';
import { startDaemon } from '../support/daemon.js';

t.setTimeout(120_000);

t.test('the inspector could not even listen', async (t) => {
  const daemon = await startDaemon(t, { fuseDriver: 'none' });
  const commandLine = readFileSync(`/proc/${String(daemon.pid)}/cmdline`, 'latin1').split('\0');
  t.ok(commandLine.includes('--inspect-port=192.0.2.1:9229'));
  t.equal((await daemon.client.status()).pid, daemon.pid, 'it is the same process');
});
