/** Where each call of the keyvol API lives; shared by the client and the routes. */

export const apiPrefix = '/keyvol/v1';

/** What the client accepts of a long call: progress lines, then one result or error line. */
export const streamType = 'application/x-ndjson';

/** The path of a call: each part is one segment, whatever characters it holds ("evs/default"). */
export function apiPath(...parts: string[]): string {
  return `${apiPrefix}/${parts.map(encodeURIComponent).join('/')}`;
}
