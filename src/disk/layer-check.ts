/** One layer, looked at without changing anything: its container, its header, its key. */
import type { Stats } from 'node:fs';
import { lstat } from 'node:fs/promises';
import type { Addon, HeaderCheck, WrapContext } from '../device/index.js';
import { Fault, type FaultCode } from '../fault.js';
import { storageHint } from '../file-fault.js';
import type { KeySession } from '../kms/key-service.js';
import { isBadCopy, isDamage, type Finding, type FindingKind } from './findings.js';
import { changedHint, dataOffsetBytes, differences } from './layer-match.js';
import type { LayerRecord } from './records.js';
import { parseToken } from './token.js';

const restore = 'restore it from a backup';

interface Wrapped {
  readonly wrapped: Buffer;
  readonly context: WrapContext;
}

export class LayerCheck {
  readonly record: LayerRecord;
  readonly path: string;
  readonly findings: Finding[] = [];
  key: 'right' | 'wrong' | 'not-checked' = 'not-checked';
  readonly #addon: Addon;
  readonly #repairCommand: string;
  #token: Wrapped | undefined;

  constructor(addon: Addon, record: LayerRecord, path: string, repairCommand: string) {
    this.#addon = addon;
    this.record = record;
    this.path = path;
    this.#repairCommand = repairCommand;
  }

  /** Nothing is wrong with it but, perhaps, that one of two header copies is bad. */
  get canBeOpened(): boolean {
    return this.findings.every((finding) => !isDamage(finding) || isBadCopy(finding));
  }

  /** Everything that needs no key. */
  async look(): Promise<void> {
    const stats = await this.#stat();
    if (stats === undefined || !this.#lookAtFile(stats)) return;
    const check = await this.#readHeader();
    if (check === undefined) return;
    this.#lookAtCopies(check);
    this.#lookAtToken(check);
    if (check.strayOffsetBytes !== undefined) {
      this.#add(
        'unused-area',
        `unused space of ${this.path} is not zeros at offset ${check.strayOffsetBytes}`,
        'nothing reads it; if nobody wrote there, distrust the storage',
      );
    }
  }

  /** Whether the data key unwraps and is the container's. Throws what keeps the key from use. */
  async tryKey(session: KeySession): Promise<void> {
    if (this.#token === undefined || !this.canBeOpened) return;
    const { wrapped, context } = this.#token;
    try {
      const dataKey = await session.unwrapDataKey(wrapped, context);
      try {
        await this.#addon.verifyContainerKey(this.path, dataKey);
      } finally {
        dataKey.release();
      }
      this.key = 'right';
    } catch (error) {
      const fault = faultAmong(error, ['INTEGRITY_FAILED', 'HEADER_OUTDATED', 'HEADER_INVALID']);
      this.key = 'wrong';
      const kind = fault.code === 'HEADER_OUTDATED' ? 'header-outdated' : 'key-mismatch';
      this.#add(kind, `${this.path}: ${fault.message}`, fault.hint ?? changedHint);
    }
  }

  /** Writes a bad copy of the header anew; throws what keeps it from that. */
  async repair(): Promise<void> {
    await this.#addon.repairContainerHeader(this.path);
    for (const [index, finding] of this.findings.entries()) {
      if (isBadCopy(finding)) this.findings[index] = { ...finding, repaired: true };
    }
  }

  async #stat(): Promise<Stats | undefined> {
    try {
      return await lstat(this.path);
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
      if (code === 'ENOENT') this.#add('container-missing', `${this.path} is missing`, restore);
      else this.#add('container-unreadable', `cannot look at ${this.path} (${code})`, storageHint);
      return undefined;
    }
  }

  /** Whether its header can be looked at. */
  #lookAtFile(stats: Stats): boolean {
    if (!stats.isFile()) {
      this.#add('container-foreign', `${this.path} is not a regular file`, restore);
      return false;
    }
    const uid = process.geteuid?.() ?? stats.uid;
    if (stats.uid !== uid) {
      const message = `${this.path} belongs to user ${stats.uid}, not to the daemon's`;
      this.#add('container-owner', message, `chown ${uid} ${this.path}`);
    }
    if ((stats.mode & 0o177) !== 0) {
      const mode = (stats.mode & 0o777).toString(8);
      const message = `${this.path} has mode 0${mode}, not 0600`;
      this.#add('container-mode', message, `chmod 600 ${this.path}`);
    }
    return this.#lookAtLength(stats.size);
  }

  #lookAtLength(bytes: number): boolean {
    const wantedBytes = dataOffsetBytes + this.record.sizeBytes;
    if (bytes < wantedBytes) {
      const message = `${this.path} is cut short: it has ${bytes} bytes of ${wantedBytes}`;
      this.#add('container-short', message, restore);
    }
    if (bytes > wantedBytes) {
      const message = `${this.path} is too long: it has ${bytes} bytes, ${wantedBytes} are used`;
      this.#add(
        'container-long',
        message,
        'nothing reads the rest; someone has written to the file',
      );
    }
    return bytes >= wantedBytes;
  }

  async #readHeader(): Promise<HeaderCheck | undefined> {
    try {
      return await this.#addon.checkContainerHeader(this.path);
    } catch (error) {
      const codes = ['HEADER_INVALID', 'IO_ERROR', 'FILE_NOT_FOUND', 'PERMISSION_DENIED'] as const;
      const { code, message, hint } = faultAmong(error, codes);
      if (code === 'HEADER_INVALID') this.#add('header-invalid', message, hint ?? restore);
      else this.#add('container-unreadable', message, hint ?? storageHint);
      return undefined;
    }
  }

  #lookAtCopies({ first, second, copiesDiffer }: HeaderCheck): void {
    for (const [name, state] of [
      ['first', first],
      ['second', second],
    ] as const) {
      if (state === 'good') continue;
      const why = state === 'damaged' ? 'is damaged' : 'is older than the other';
      const message = `the ${name} of the two header copies of ${this.path} ${why}`;
      this.#add(`header-copy-${state}`, message, this.#repairCommand);
    }
    if (!copiesDiffer) return;
    const message = `the two header copies of ${this.path} are valid but say different things`;
    this.#add('header-copies-differ', message, changedHint);
  }

  #lookAtToken({ header }: HeaderCheck): void {
    try {
      const token = parseToken(header.token, this.record.id);
      this.#token = token;
      for (const difference of new Set(differences(this.record, header, token.context))) {
        this.#add('record-mismatch', `${this.path} says ${difference}`, changedHint);
      }
    } catch (error) {
      const { message, hint } = faultAmong(error, ['HEADER_INVALID']);
      this.#add('token-unreadable', `${this.path}: ${message}`, hint ?? restore);
    }
  }

  #add(kind: FindingKind, message: string, cure: string): void {
    this.findings.push({ kind, message, cure, layerId: this.record.id, container: this.path });
  }
}

/** The error, if it is one of those; throws any other. */
function faultAmong(error: unknown, codes: readonly FaultCode[]): Fault {
  if (error instanceof Fault && codes.includes(error.code)) return error;
  throw error;
}
