/** The NBD server that shows attached disks to clients of this host, and over TLS to those of others. */
import { isIPv6 } from 'node:net';
import path from 'node:path';
import { parseListenAddress } from '../api/directories.js';
import type { Addon, NbdServer } from '../device/index.js';
import { socketInUri } from '../volume/door.js';
import { Fault } from '../fault.js';

export interface NbdOverTls {
  /** Numeric. */
  readonly address: string;
  /** 0 is any that is free. */
  readonly port: number;
  /** Where its certificates or keys are. */
  readonly directory: string;
}

/** Of both settings or none. Throws USAGE when one is missing, INVALID_ARGUMENT for no address. */
export function nbdOverTls(
  listen: string | undefined,
  directory: string | undefined,
): NbdOverTls | undefined {
  if (listen === undefined && directory === undefined) return undefined;
  if (listen === undefined || directory === undefined) {
    const missing = listen === undefined ? '--nbd-listen' : '--nbd-tls';
    throw new Fault('USAGE', `NBD for other hosts needs ${missing}, too`, {
      hint: 'for example --nbd-listen 192.0.2.1:10809 --nbd-tls /etc/keyvol/tls',
    });
  }
  return { ...parseListenAddress(listen), directory: path.resolve(directory) };
}

/** Throws as Addon.serveNbd. */
export function openNbd(
  addon: Addon,
  runtimeDir: string,
  tls: NbdOverTls | undefined,
): { readonly server: NbdServer; readonly uris: readonly string[] } {
  const socketPath = path.join(runtimeDir, 'nbd.sock');
  const server = serve(addon, socketPath, tls);
  const uris = [`nbd+unix://?socket=${socketInUri(socketPath)}`];
  if (tls !== undefined) {
    const host = isIPv6(tls.address) ? `[${tls.address}]` : tls.address;
    uris.push(`nbds://${host}:${String(server.tlsPort)}`);
  }
  return { server, uris };
}

function serve(addon: Addon, socketPath: string, tls: NbdOverTls | undefined): NbdServer {
  try {
    return addon.serveNbd({ socketPath, ...(tls === undefined ? {} : { tls }) });
  } catch (cause) {
    if (tls === undefined || !(cause instanceof Fault)) throw cause;
    throw new Fault(cause.code, `NBD for other hosts cannot be served: ${cause.message}`, {
      cause,
      hint:
        `${tls.directory} must hold server-cert.pem, server-key.pem and ca-cert.pem, or keys.psk; ` +
        'the address must be one of this host, its port free',
    });
  }
}
