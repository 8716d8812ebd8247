/** What errors of the system mean to a caller, when they meet the daemon's own files. */
import { Fault, type FaultCode } from './fault.js';

export const spaceHint = 'free some space there and try again';
export const writableHint =
  'the state directory must be on a writable filesystem and belong to the daemon';
const filesHint = 'let the daemon open more files: LimitNOFILE= of its unit, or ulimit -n';
const meanings: Readonly<Record<string, readonly [FaultCode, string]>> = {
  ENOSPC: ['NO_SPACE', spaceHint],
  EDQUOT: ['NO_SPACE', spaceHint],
  EROFS: ['STATE_DIR_UNUSABLE', writableHint],
  EACCES: ['STATE_DIR_UNUSABLE', writableHint],
  EPERM: ['STATE_DIR_UNUSABLE', writableHint],
  EMFILE: ['IO_ERROR', filesHint],
  ENFILE: ['IO_ERROR', filesHint],
};
export const storageHint = 'its storage may have failed: dmesg says more';

/** The result of `work`; a system error becomes a Fault that says what was tried: "remove x.luks". */
export async function orFileFault<Result>(
  doing: string,
  work: () => Promise<Result>,
): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    throw fileFault(error, doing);
  }
}

/** For a system error that was met in doing something; anything else stays as it is. */
export function fileFault(error: unknown, doing: string): unknown {
  if (error instanceof Fault || !(error instanceof Error)) return error;
  const systemCode = 'code' in error ? String(error.code) : '';
  const [code, hint] = meanings[systemCode] ?? ['IO_ERROR', storageHint];
  return new Fault(code, `cannot ${doing} (${systemCode})`, { cause: error, hint });
}
