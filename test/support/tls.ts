/** Certificates and keys for TLS, made afresh by OpenSSL. Test keys, all of them. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const openssl = (...args: string[]): void => {
  execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] });
};

export interface Authority {
  readonly certificate: string;
  readonly key: string;
}

/** A certificate authority in a new directory. */
export function newAuthority(directory: string): Authority {
  mkdirSync(directory);
  const certificate = join(directory, 'ca-cert.pem');
  const key = join(directory, 'ca-key.pem');
  const what = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
  openssl('req', '-x509', ...what, '-subj', '/CN=test', '-keyout', key, '-out', certificate);
  return { certificate, key };
}

/** `server-…` or `client-…` files and the authority's certificate, in a new directory. */
export function issue(authority: Authority, directory: string, role: 'server' | 'client'): string {
  mkdirSync(directory);
  const request = join(directory, 'request.pem');
  const extensions = join(directory, 'extensions');
  writeFileSync(extensions, 'subjectAltName=IP:127.0.0.1,IP:::1\n');
  const key = ['-keyout', join(directory, `${role}-key.pem`)];
  const what = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  openssl('req', ...what, '-subj', `/CN=${role}`, ...key, '-out', request);
  const by = ['-CA', authority.certificate, '-CAkey', authority.key, '-CAcreateserial'];
  const to = ['-out', join(directory, `${role}-cert.pem`)];
  openssl('x509', '-req', '-in', request, '-days', '2', '-extfile', extensions, ...by, ...to);
  execFileSync('cp', [authority.certificate, join(directory, 'ca-cert.pem')]);
  return directory;
}

/** A keys.psk with one key for each name, in a new directory. */
export function shareKeys(directory: string, ...names: string[]): string {
  mkdirSync(directory);
  const lines = names.map((name) => `${name}:${randomBytes(32).toString('hex')}\n`);
  writeFileSync(join(directory, 'keys.psk'), lines.join(''), { mode: 0o600 });
  return directory;
}
