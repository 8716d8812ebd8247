/** The native driver answers as block devices and POSIX make programs expect. */
import t from 'tap';
import { nativeDriver, noFuse } from '../support/fuse.js';
import { conformance } from '../support/fuse-conformance.js';

void t.test('the native FUSE driver', { skip: noFuse }, (t) => conformance(t, nativeDriver));
