/** How a mounted filesystem is brought to rest when its key is lost. */
import { succeedsWithin, within } from './deadline.js';
import type { Mount } from './mount.js';

/** Of the second that cutting off may take (DESIGN §4). */
const lockWithinMs = 600;
const syncWithinMs = 400;
const unmountWithinMs = 150;

/** What became of a filesystem when its key was lost: `busy` and `unsynced` ones must be taken down. */
export type Ending = 'none' | 'locked' | 'unmounted' | 'busy' | 'unsynced';

export function mustComeDown(ending: Ending): boolean {
  return ending === 'busy' || ending === 'unsynced';
}

/** Locked where that can be done, else unmounted, else what cannot go on. */
export async function lockInTime(mount: Mount | undefined): Promise<Ending> {
  if (mount?.isUp !== true) return 'none';
  const locked = mount.lock().then(
    (): Ending => 'locked',
    () => endInTime(mount),
  );
  return within(lockWithinMs, locked, () => 'unsynced');
}

/** While the gate is open an unmount leaves a clean filesystem behind; a busy one cannot be. */
async function endInTime(mount: Mount): Promise<Ending> {
  if (!(await succeedsWithin(syncWithinMs, mount.sync()))) return 'unsynced';
  return (await succeedsWithin(unmountWithinMs, mount.down())) ? 'unmounted' : 'busy';
}

interface CutOffFindings {
  readonly flushed: boolean;
  readonly ending: Ending;
  readonly pagesWritten: boolean;
}

export function lossesOf({ flushed, ending, pagesWritten }: CutOffFindings): string[] {
  return [
    ...(flushed ? [] : ['what was not flushed in time may be lost']),
    ...(ending === 'unsynced'
      ? ['its filesystem could not be written out in time, what programs wrote last may be lost']
      : []),
    ...(pagesWritten ? [] : ['pages that programs have mapped could not be written out in time']),
  ];
}
