/** The LUKS2 token that holds a wrapped data key (DESIGN §3). */
import type { WrapContext } from '../device/index.js';
import { Fault } from '../fault.js';

export const tokenFormat = 1;

export function formatToken(wrapped: Buffer, context: WrapContext): string {
  return JSON.stringify({
    type: 'keyvol',
    keyslots: [],
    format: tokenFormat,
    wrapped: wrapped.toString('base64'),
    context,
  });
}

/** Throws HEADER_INVALID, naming the layer, for anything but a token as formatToken makes it. */
export function parseToken(
  text: string,
  layerId: string,
): { wrapped: Buffer; context: WrapContext } {
  const token = parseObject(text);
  const context = token?.context;
  if (token?.type !== 'keyvol' || typeof token.wrapped !== 'string' || !isTextRecord(context)) {
    throw new Fault('HEADER_INVALID', `layer ${layerId}: its keyvol token cannot be read`);
  }
  if (token.format !== tokenFormat) {
    throw new Fault('HEADER_INVALID', `layer ${layerId}: its token format is not ${tokenFormat}`, {
      hint: 'a newer keyvol may have written it',
    });
  }
  return { wrapped: Buffer.from(token.wrapped, 'base64'), context };
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isTextRecord(value: unknown): value is WrapContext {
  return isRecord(value) && Object.values(value).every((field) => typeof field === 'string');
}
