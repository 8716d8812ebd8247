/** The person's side of stderr: errors, notes and questions. Results never come here. */
import { styleText } from 'node:util';
import type { Ending } from './exit.js';

/** Whether someone can answer a question. */
export function isInteractive(): boolean {
  return process.stdin.isTTY && process.stderr.isTTY;
}

export function printEnding({ message, hint }: Ending): void {
  if (message === '') return;
  process.stderr.write(`keyvol: ${coloured('red', 'error:')} ${message}\n`);
  if (hint !== undefined) process.stderr.write(`${coloured('yellow', 'hint:')} ${hint}\n`);
}

/** Tells the person something that is not the result. */
export function note(text: string): void {
  process.stderr.write(`keyvol: ${text}\n`);
}

/** Asks, and answers with the line typed; an empty text when the input ends. */
export async function ask(question: string, signal?: AbortSignal): Promise<string> {
  const { createInterface } = await import('node:readline/promises');
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  const closed = new Promise<string>((resolve) => lines.once('close', () => resolve('')));
  try {
    const answer = signal ? lines.question(question, { signal }) : lines.question(question);
    return (await Promise.race([answer, closed])).trim();
  } finally {
    lines.close();
  }
}

function coloured(colour: 'red' | 'yellow', text: string): string {
  const plain = !process.stderr.isTTY || (process.env.NO_COLOR ?? '') !== '';
  return plain ? text : styleText(colour, text);
}
