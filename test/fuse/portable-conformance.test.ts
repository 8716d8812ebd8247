/** The portable driver gives the same answers, but for what libfuse 2 cannot do. */
import t from 'tap';
import { mountPortableFuse } from '../../dist/device/fuse-portable.js';
import { type FuseDriver, noFuse } from '../support/fuse.js';
import { conformance } from '../support/fuse-conformance.js';

const portableDriver: FuseDriver = {
  capabilities: { fallocate: false, seekHole: false, sharedMappings: false, knowsOwner: false },
  mount: mountPortableFuse,
};

void t.test('the portable FUSE driver', { skip: noFuse }, (t) => conformance(t, portableDriver));
