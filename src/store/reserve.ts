/** Space held back for records that must be written when the filesystem is full. */
import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, openSync, rmSync, statSync, statfsSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

export const reserveBytes = 1024 * 1024;

/** A file of `reserveBytes` really allocated beside a database, given up when space runs out. */
export class Reserve {
  readonly #path: string;
  #held = false;

  constructor(path: string) {
    this.#path = path;
  }

  /** Makes the file unless it is there already. Throws ENOSPC and leaves no part of it. */
  take(): void {
    if (this.#held) return;
    if (!this.#isWhole()) this.#write();
    this.#held = true;
  }

  /** Takes the space again only where plenty is free, so that a full disk is not fought over. */
  retake(): void {
    if (this.#held) return;
    const { bavail, bsize } = statfsSync(dirname(this.#path));
    if (bavail * bsize < 2 * reserveBytes) return;
    try {
      this.take();
    } catch {
      // Someone else took the space first. The next commit tries again.
    }
  }

  /** Gives the space back. False when there was none to give. */
  release(): boolean {
    const given = statSync(this.#path, { throwIfNoEntry: false }) !== undefined;
    rmSync(this.#path, { force: true });
    this.#held = false;
    return given;
  }

  #isWhole(): boolean {
    return statSync(this.#path, { throwIfNoEntry: false })?.size === reserveBytes;
  }

  #write(): void {
    const file = openSync(this.#path, 'w', 0o600);
    try {
      // Random bytes, for filesystems that compress would give no room to zeros.
      writeWhole(file, randomBytes(reserveBytes));
      fsyncSync(file);
    } catch (error) {
      rmSync(this.#path, { force: true });
      throw error;
    } finally {
      closeSync(file);
    }
  }
}

function writeWhole(file: number, bytes: Buffer): void {
  for (let done = 0; done < bytes.length;) done += writeSync(file, bytes, done);
}
