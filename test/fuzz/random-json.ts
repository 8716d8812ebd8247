/** Values that a schema asks for, and what careless and hostile clients make of them. */
import type { TObject, TSchema } from '@sinclair/typebox';
import type { ModelRandom } from '../support/model-random.js';

const texts = [
  '',
  'app',
  'db',
  'db@monday',
  'evs/default',
  '..',
  '../../etc/passwd',
  'a\u0000b',
  '\ud800',
  '💾'.repeat(100),
  'x'.repeat(1024),
  'x'.repeat(5000),
  '$(reboot)',
  '%2e%2e%2f',
  "'; DROP TABLE disks; --",
  '{"a":1}',
  '__proto__',
] as const;
const numbers = [
  0,
  -1,
  1,
  4095,
  4096,
  4097,
  1.5,
  1e308,
  2 ** 31,
  2 ** 53 - 1,
  2 ** 53,
  -(2 ** 53),
  Number.MIN_VALUE,
] as const;

export function anyText(random: ModelRandom): string {
  return random.pick(texts);
}

/** Often what `schema` asks for, sometimes anything. */
export function valueFor(schema: TSchema, random: ModelRandom, depth = 0): unknown {
  if (random.below(12) === 0) return anything(random, depth);
  const choices: unknown = schema['enum'];
  if (Array.isArray(choices)) return random.pick(choices);
  switch (schema['type']) {
    case 'string':
      return schema['pattern'] === '^/' ? `/nowhere/${anyText(random)}` : anyText(random);
    case 'integer':
    case 'number':
      return random.pick(numbers);
    case 'boolean':
      return random.below(2) === 0;
    case 'object':
      return objectFor(schema as TObject, random, depth);
    default:
      return anything(random, depth);
  }
}

function objectFor(schema: TObject, random: ModelRandom, depth: number): Record<string, unknown> {
  const value: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(schema.properties)) {
    const isNeeded = schema.required?.includes(name) === true;
    if (random.below(isNeeded ? 15 : 3) !== 0) value[name] = valueFor(field, random, depth + 1);
  }
  if (random.below(15) === 0) value[anyText(random)] = anything(random, depth + 1);
  return value;
}

function anything(random: ModelRandom, depth: number): unknown {
  switch (random.below(depth > 3 ? 5 : 7)) {
    case 0:
      return null;
    case 1:
      return random.pick(numbers);
    case 2:
      return random.below(2) === 0;
    case 3:
    case 4:
      return anyText(random);
    case 5:
      return Array.from({ length: random.below(4) }, () => anything(random, depth + 1));
    default:
      return { [anyText(random)]: anything(random, depth + 1) };
  }
}

/** JSON, or nearly. */
export function damaged(text: string, random: ModelRandom): string {
  const bytes = Buffer.from(text);
  if (bytes.length === 0) return text;
  for (let changes = 1 + random.below(3); changes > 0; changes -= 1) {
    const at = random.below(bytes.length);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
  }
  return bytes.subarray(0, 1 + random.below(bytes.length)).toString('latin1');
}
