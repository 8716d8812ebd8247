/** A mounted filesystem under pressure: a program that fsyncs what it writes, and snapshots of it. */
import { mkdirSync } from 'node:fs';
import { truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Test } from 'tap';
import { Fault } from '../../dist/fault.js';
import type { TestDaemon } from './daemon.js';
import { findDamage, slotBytes } from './slots.js';
import { slots, SteadyWriter } from './steady-load.js';
import { must, sleep } from './world.js';

export class PressureMount {
  readonly #client: TestDaemon['client'];
  readonly #directory: string;
  readonly #name: string;
  readonly #writer: SteadyWriter;
  #snapshots = 0;

  private constructor(client: TestDaemon['client'], name: string, directory: string) {
    this.#client = client;
    this.#name = name;
    this.#directory = directory;
    this.#writer = new SteadyWriter(join(directory, 'slots'));
  }

  /** A volume of that name with a new filesystem of that name, mounted below `parent`. */
  static async make(
    { client }: TestDaemon,
    filesystem: string,
    key: string,
    parent: string,
  ): Promise<PressureMount> {
    const directory = join(parent, filesystem);
    mkdirSync(directory);
    await client.createVolume({ name: filesystem, size: 400 << 20, key });
    await client.mountVolume(filesystem, { directory, mkfs: filesystem });
    await writeFile(join(directory, 'slots'), '');
    await truncate(join(directory, 'slots'), slots * slotBytes);
    await must('sync', '-f', directory);
    return new PressureMount(client, filesystem, directory);
  }

  /** Takes a snapshot, unless its key is away, and removes it. */
  async step(everyMs: number): Promise<void> {
    await sleep(everyMs);
    const snapshot = `${this.#name}@s${String(this.#snapshots)}`;
    try {
      await this.#client.createSnapshot(snapshot);
    } catch (error) {
      if (error instanceof Fault && error.code === 'KEY_DISABLED') return;
      throw error;
    }
    this.#snapshots += 1;
    await this.#client.deleteSnapshot(snapshot);
  }

  /** How deep its stack is. */
  async layers(): Promise<number> {
    return (await this.#client.showVolume(this.#name)).layers;
  }

  /** To be called while its key is there. */
  async check(t: Test): Promise<void> {
    const { history } = this.#writer;
    await this.#writer.stop();
    t.ok(this.#writer.longestPauseMs < Infinity, `no program on ${this.#name} met an error`);
    t.ok(Math.max(...history.acked) > 100, 'and it was at work');
    t.ok(this.#snapshots > 0, 'snapshots were taken of it');
    t.match(await must('findmnt', '-no', 'OPTIONS', this.#directory), /^rw,/);
    t.same(await findDamage(join(this.#directory, 'slots'), history, history), [], 'all is there');
    await this.#client.unmountVolume(this.#name);
  }
}
