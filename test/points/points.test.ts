/**
 * Every system call of every verb fails once, and for good from each one on: with EIO, with half of
 * what was asked, without space, descriptors or memory, on a filesystem that has become read-only.
 * Each verb ends as asked or with a clean error, and starts and stops do; when the fault is over it
 * can be asked for again, and all that was acknowledged is there, now and for the next start.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import t from 'tap';
import { isRoot, smallFilesystem, tempDirectory } from '../support/temp.js';
import { faultEnvironment } from './fault-control.js';
import { verbs } from './point-verbs.js';
import type { PointsReport } from './points-child.js';

/** Every so many calls fail. */
const step = process.env.KEYVOL_FAULT_STEP ?? '1';
const skip = isRoot ? false : 'mounting needs root';
const child = new URL('./points-child.js', import.meta.url).pathname;

let points = 0;

for (const name of [...verbs.map((verb) => verb.name), 'start', 'stop']) {
  t.test(name, { skip, timeout: 0 }, async (t) => {
    const env = faultEnvironment(smallFilesystem(t, '256m'), tempDirectory(t));
    const rig = spawn(process.execPath, [child, step, name], {
      env,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let output = '';
    rig.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    const [status, signal] = (await once(rig, 'close')) as [number | null, string | null];
    t.same([status, signal], [0, null], 'nothing crashes');
    // Written by the child.
    const report = JSON.parse(output) as PointsReport;
    points += report.points;
    t.same(report.problems, [], JSON.stringify(report));
    t.ok(report.points > 0);
  });
}

t.test('enough points', { skip }, async (t) => {
  t.ok(points >= 3000 / Number(step), `${String(points)} points`);
});
