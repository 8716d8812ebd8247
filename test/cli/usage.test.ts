// A mistyped command must say what is wrong and how to mend it, and must not reach the daemon.
import t from 'tap';
import { fakeApi } from '../support/fake-api.js';
import { runCli } from '../support/run-cli.js';

const mistakes: [name: string, args: string[], error: RegExp, hint: RegExp][] = [
  ['an unknown noun', ['volum', 'list'], /unknown command 'volum'/, /did you mean volume\?/],
  ['an unknown verb', ['volume', 'creat'], /unknown command 'creat'/, /did you mean create\?/],
  ['a verb of another noun', ['key', 'attach', 'x'], /unknown command 'attach'/, /--help/],
  ['help of an unknown noun', ['volum', '--help'], /unknown command 'volum'/, /volume/],
  ['help of an unknown verb', ['help', 'key', 'x'], /unknown command 'x'/, /--help/],
  ["a noun's help of an unknown verb", ['key', 'help', 'x'], /unknown command 'x'/, /--help/],
  [
    'an unknown option',
    ['volume', 'create', 'db', '--siez', '1G'],
    /unknown option '--siez'/,
    /did you mean --size\?/,
  ],
  ['a missing argument', ['key', 'show'], /missing required argument 'key'/, /--help/],
  ['one argument too many', ['key', 'show', 'a', 'b'], /too many arguments/, /--help/],
  ['a missing value', ['volume', 'create', 'db', '--size'], /'--size <size>'/, /--help/],
  ['a word for a size', ['volume', 'create', 'db', '--size', 'big'], /"big"/, /10G/],
  ['a negative size', ['volume', 'create', 'db', '--size', '-10G'], /"-10G"/, /10G/],
  ['a negative size after =', ['volume', 'create', 'db', '--size=-1'], /"-1"/, /10G/],
  ['an empty size', ['volume', 'create', 'db', '--size', ''], /""/, /10G/],
  [
    'two sources of a volume',
    ['volume', 'create', 'db', '--image', 'a', '--file', 'b'],
    /'--(image|file).*cannot be used with.*'--(file|image)/,
    /--help/,
  ],
  [
    'two sources of an image',
    ['image', 'create', 'i', '--volume', 'a', '--snapshot', 'a@b'],
    /cannot be used with/,
    /--help/,
  ],
  ['no source of an image', ['image', 'create', 'i'], /image i needs a source/, /--volume/],
  [
    'a plain volume',
    ['volume', 'create', 'db', '--size', '1G', '--no-encryption'],
    /every disk of keyvol is encrypted/,
    /default key/,
  ],
  [
    'a plain image',
    ['image', 'create', 'i', '--file', 'f', '--no-encryption'],
    /every disk of keyvol is encrypted/,
    /default key/,
  ],
  ['an unknown policy', ['volume', 'set', 'db', '--on-key-loss', 'x'], /'x' is invalid/, /--help/],
  ['an unknown origin', ['key', 'create', 'k', '--origin', 'x'], /'x' is invalid/, /--help/],
  [
    'a snapshot without @',
    ['snapshot', 'create', 'db'],
    /db does not name a snapshot/,
    /db@monday/,
  ],
  ['a snapshot without a name', ['snapshot', 'show', 'db@'], /does not name a snapshot/, /@/],
  [
    'days that are no number',
    ['key', 'schedule-deletion', 'k', '--days', 'soon'],
    /'soon' is invalid/,
    /--help/,
  ],
  ['no days', ['key', 'schedule-deletion', 'k'], /'--days <n>' not specified/, /--help/],
  ['an unknown shell', ['completion', 'csh'], /'csh' is invalid/, /--help/],
];

for (const [name, args, error, hint] of mistakes) {
  t.test(`${name} is a usage error, and nothing is asked of the daemon`, async (t) => {
    const api = await fakeApi(t);
    const { status, stdout, stderr } = await runCli(args, { runtimeDir: api.runtimeDir });
    const [errorLine = '', hintLine = '', ...rest] = stderr.split('\n');
    t.equal(status, 2);
    t.equal(stdout, '');
    t.match(errorLine, /^keyvol: error: /);
    t.match(errorLine, error);
    t.match(hintLine, /^hint: /);
    t.match(hintLine, hint);
    t.strictSame(rest, [''], 'two lines are enough');
    t.strictSame(api.requests, []);
  });
}

for (const args of [[], ['key'], ['volume']]) {
  t.test(`"keyvol ${args.join(' ')}" alone shows what it can do, and ends with 2`, async (t) => {
    const { status, stdout, stderr } = await runCli(args);
    t.equal(status, 2);
    t.equal(stdout, '');
    t.match(stderr, /Commands:/);
  });
}
