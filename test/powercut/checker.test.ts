// The judge of all power cuts is judged first: it must accept what was promised, and name what is not.
import {
  closeSync,
  cpSync,
  openSync,
  readdirSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import Database from 'better-sqlite3';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { tempDirectory } from '../support/temp.js';
import { checkState } from './checker.js';
import type { Fact, Operation } from './history.js';
import { Performer } from './perform.js';

const operations: readonly Operation[] = [
  { do: 'create-key', alias: 'app' },
  { do: 'create-volume', name: 'db', sectors: 16, key: 'app' },
  { do: 'attach', volume: 'db' },
  { do: 'write', volume: 'db', sector: 0, sectors: 4, version: 1 },
  { do: 'flush', volume: 'db' },
  { do: 'create-snapshot', snapshot: 'db@monday' },
  { do: 'write', volume: 'db', sector: 2, sectors: 4, version: 2 },
  { do: 'clone', volume: 'db', name: 'copy' },
  { do: 'discard', volume: 'db', sector: 0, sectors: 1 },
  { do: 'stop' },
  { do: 'create-image', name: 'golden', snapshot: 'db@monday' },
  { do: 'rename', kind: 'volume', name: 'copy', to: 'other' },
  { do: 'detach', volume: 'db' },
  { do: 'delete', kind: 'volume', name: 'db' },
  { do: 'rollback', snapshot: 'db@monday' },
  { do: 'disable-key', alias: 'app' },
  { do: 'enable-key', alias: 'app' },
];

interface Made {
  readonly stateDir: string;
  readonly history: readonly Fact[];
}

const original = await make(join(tempDirectory(t), 'state'));

async function make(stateDir: string): Promise<Made> {
  const performer = await Performer.open(stateDir, { threadless: false });
  for (const operation of operations) await performer.perform(operation);
  await performer.close();
  return { stateDir, history: performer.history };
}

/** A copy of one state, for a check changes what it checks. */
function made(t: Test): Made {
  const stateDir = join(tempDirectory(t), 'state');
  cpSync(original.stateDir, stateDir, { recursive: true });
  return { ...original, stateDir };
}

function container(stateDir: string): string {
  const layers = join(stateDir, 'layers');
  return join(layers, readdirSync(layers)[0] ?? '');
}

t.test('what was acknowledged is there, and the state can be worked with', async (t) => {
  const { stateDir, history } = made(t);
  const refused = history.filter((fact) => fact.fact === 'refused');
  t.equal(refused.length, 1, 'only the deletion of a volume that has a snapshot is refused');
  t.same(await checkState(stateDir, history, { useIt: true }), []);
});

t.test('what has no answer may be there or not', async (t) => {
  const { stateDir, history } = made(t);
  t.same(await checkState(stateDir, history.slice(0, -1)), [], 'done, but not answered');
  const operation: Operation = { do: 'delete', kind: 'image', name: 'golden' };
  const asked: Fact = { fact: 'asked', id: 1000, operation };
  t.same(await checkState(stateDir, [...history, asked]), [], 'asked, but not done');
});

interface Damage {
  readonly name: string;
  readonly says: RegExp;
  readonly work: (made: Made) => Made;
}

function promising(made: Made, operation: Operation): Made {
  const id = 2000;
  const more: Fact[] = [
    { fact: 'asked', id, operation },
    { fact: 'done', id },
  ];
  return { ...made, history: [...made.history, ...more] };
}

function withoutVersion(made: Made, version: number): Made {
  const history = made.history.map((fact): Fact => {
    if (fact.fact !== 'asked' || fact.operation.do !== 'write') return fact;
    if (fact.operation.version !== version) return fact;
    return { ...fact, operation: { ...fact.operation, version: 77 } };
  });
  return { ...made, history };
}

const damages: readonly Damage[] = [
  {
    name: 'a lost key',
    says: /key lost enabled is missing/,
    work: (made) => promising(made, { do: 'create-key', alias: 'lost' }),
  },
  {
    name: 'a lost volume',
    says: /volume lost of key app is missing/,
    work: (made) => promising(made, { do: 'clone', volume: 'db', name: 'lost' }),
  },
  {
    name: 'a lost audit record',
    says: /the audit has 0 times "createKey lost" instead of 1 to 1/,
    work: (made) => promising(made, { do: 'create-key', alias: 'lost' }),
  },
  {
    name: 'a state that came back',
    says: /key app disabled is missing/,
    work: (made) => promising(made, { do: 'disable-key', alias: 'app' }),
  },
  {
    name: 'a sector with another value',
    says: /snapshot db@monday sector 0 holds 1, allowed 77/,
    work: (made) => withoutVersion(made, 1),
  },
  {
    name: 'garbage in a sector',
    says: /holds .*garbage/,
    work: (made) => {
      const layers = join(made.stateDir, 'layers');
      for (const name of readdirSync(layers)) {
        const file = openSync(join(layers, name), 'r+');
        writeSync(file, Buffer.alloc(512, 5), 0, 512, 1048576);
        closeSync(file);
      }
      return made;
    },
  },
  {
    name: 'a container that nobody names',
    says: /is there, though it should not be/,
    work: (made) => {
      const name = '00000000-0000-4000-8000-000000000000.luks';
      writeFileSync(join(made.stateDir, 'layers', name), '');
      return made;
    },
  },
  {
    name: 'a container that is gone',
    says: /layer .* does not open/,
    work: (made) => {
      rmSync(container(made.stateDir));
      return made;
    },
  },
  {
    name: 'a damaged header copy',
    says: /the start said: one of the two header copies/,
    work: (made) => {
      const file = openSync(container(made.stateDir), 'r+');
      writeSync(file, Buffer.alloc(512, 1), 0, 512, 512);
      closeSync(file);
      return made;
    },
  },
  {
    name: 'a nonce that was used twice',
    says: /a nonce was used twice under one key/,
    work: (made) => {
      const database = new Database(join(made.stateDir, 'keys.db'));
      const { wrapped } = database.prepare('SELECT wrapped FROM key_versions').get() as {
        wrapped: Buffer;
      };
      const other = Buffer.from(wrapped);
      other[40] = (other[40] ?? 0) ^ 1;
      database
        .prepare(
          'INSERT INTO key_versions (key_id, version, wrapped, created_at_ms) SELECT key_id, 2, ?, 0 FROM key_versions LIMIT 1',
        )
        .run(other);
      database.close();
      return made;
    },
  },
];

for (const { name, says, work } of damages) {
  t.test(`${name} is found`, async (t) => {
    const { stateDir, history } = work(made(t));
    const problems = await checkState(stateDir, history);
    t.match(problems.join('\n'), says);
  });
}
