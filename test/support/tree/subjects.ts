/** The two ways a run reaches the services: in this process, or in one that it can kill. */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { TreeServices } from './services.js';
import type { TreeAnswer, TreeRequest, TreeSubject } from './subject.js';

export class LocalSubject implements TreeSubject {
  private constructor(
    readonly directory: string,
    private services: TreeServices,
  ) {}

  static async start(directory: string): Promise<LocalSubject> {
    return new LocalSubject(directory, await TreeServices.start(directory));
  }

  perform(request: TreeRequest): Promise<TreeAnswer> {
    return this.services.perform(request);
  }

  async restart(): Promise<void> {
    await this.services.stop();
    this.services = await TreeServices.start(this.directory);
  }

  kill(): Promise<void> {
    throw new Error('a run in this process cannot kill it');
  }

  close(): Promise<void> {
    return this.services.stop();
  }
}

const script = fileURLToPath(new URL('./services-child.js', import.meta.url));

export class ChildSubject implements TreeSubject {
  readonly #waiting = new Map<number, (answer: TreeAnswer) => void>();
  #child: ChildProcess;
  #exit: Promise<unknown>;
  #requests = 0;

  private constructor(readonly directory: string) {
    [this.#child, this.#exit] = this.#start();
  }

  static async start(directory: string): Promise<ChildSubject> {
    const subject = new ChildSubject(directory);
    await subject.#ready();
    return subject;
  }

  perform(request: TreeRequest): Promise<TreeAnswer> {
    this.#requests += 1;
    const id = this.#requests;
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve);
      this.#child.send({ id, request });
    });
  }

  async restart(): Promise<void> {
    await this.close();
    [this.#child, this.#exit] = this.#start();
    await this.#ready();
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exit;
    [this.#child, this.#exit] = this.#start();
    await this.#ready();
  }

  async close(): Promise<void> {
    if (this.#child.connected) this.#child.disconnect();
    await this.#exit;
  }

  /** The first message of a process says that it is up. */
  async #ready(): Promise<void> {
    const { code } = await new Promise<TreeAnswer>((resolve) => this.#waiting.set(0, resolve));
    if (code !== 'done') throw new Error('the services did not start');
  }

  #start(): [ChildProcess, Promise<unknown>] {
    const child = fork(script, [this.directory], { serialization: 'advanced' });
    child.on('message', ({ id, answer }: { id: number; answer: TreeAnswer }) => {
      this.#waiting.get(id)?.(answer);
      this.#waiting.delete(id);
    });
    const exit = once(child, 'exit').then(() => {
      for (const resolve of this.#waiting.values()) resolve({ code: 'killed' });
      this.#waiting.clear();
    });
    return [child, exit];
  }
}
