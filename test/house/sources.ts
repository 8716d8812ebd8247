/** The source files of this repository, for the tests that read them. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';

export interface Source {
  /** From the root of the repository, such as `src/kms/keys.ts`. */
  readonly path: string;
  readonly text: string;
}

/** Every file below `directory` whose name ends in one of `endings`. Tests run in the root. */
export function sourcesIn(directory: string, endings: readonly string[]): Source[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((name) => endings.some((ending) => name.endsWith(ending)))
    .map((name) => join(directory, name))
    .map((path) => ({ path, text: readFileSync(path, 'utf8') }));
}

/** What a TypeScript file imports, re-exports or loads at run time: as written there. */
export function importsOf({ text }: Source): string[] {
  return ts.preProcessFile(text, true, true).importedFiles.map(({ fileName }) => fileName);
}

/** What a C++ file includes in quotes: paths from `native/`. */
export function includesOf({ text }: Source): string[] {
  return [...text.matchAll(/^\s*#\s*include\s+"([^"]+)"/gm)].map(([, path = '']) => path);
}

/** What a C++ file includes in angle brackets. */
export function systemIncludesOf({ text }: Source): string[] {
  return [...text.matchAll(/^\s*#\s*include\s+<([^>]+)>/gm)].map(([, path = '']) => path);
}
