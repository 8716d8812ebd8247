/** Tries all faults of what its arguments name, below the library that makes calls fail. */
import { FaultControl, faultKinds } from './fault-control.js';
import { PointRig, type Tally, type Trial } from './point-rig.js';
import { verbs } from './point-verbs.js';

/** What was met with one verb, or with starts or stops. */
export interface PointsReport extends Readonly<Tally> {
  readonly name: string;
  readonly problems: readonly string[];
}

/** Every so many calls fail of each kind of fault. */
const [stepText = '1', name = ''] = process.argv.slice(2);
/** A start takes long, and asks for much of what verbs ask for, too. */
const step = Number(stepText) * (name === 'start' ? 4 : 1);
const control = new FaultControl();
const problems: string[] = [];
const tally = { points: 0, refused: 0, halfDone: 0 };
let rig: PointRig | undefined;

function trialOf(rig: PointRig): Trial {
  if (name === 'start') return rig.start();
  if (name === 'stop') return rig.stop();
  const verb = verbs.find((one) => one.name === name);
  if (verb === undefined) throw new Error(`there is no verb ${name}`);
  return rig.verb(verb);
}

for (const [index, kind] of faultKinds.entries()) {
  try {
    let next: number | undefined = 1 + (index % step);
    while (next !== undefined) {
      rig ??= await PointRig.open(control, tally);
      next = await rig.tryAll(trialOf(rig), kind, next, step);
      if (next === undefined) continue;
      const worn: PointRig = rig;
      rig = undefined;
      await worn.close();
    }
  } catch (error) {
    problems.push(error instanceof Error ? error.message : String(error));
    await rig?.abandon();
    rig = undefined;
  }
}
await rig?.close().catch((error: unknown) => problems.push(String(error)));
process.stdout.write(`${JSON.stringify({ name, ...tally, problems } satisfies PointsReport)}\n`);
