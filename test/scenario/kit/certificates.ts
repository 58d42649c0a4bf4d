import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Certificate {
  /** PEM. */
  readonly key: string;
  readonly cert: string;
}

/** An authority made for one test, by openssl. */
export class Authority {
  readonly #dir = mkdtempSync(join(tmpdir(), 'canopy-ca-'));
  /** Its own certificate, PEM. */
  readonly ca: string;

  constructor() {
    this.#openssl('req', '-x509', ...NEW_KEY, '-keyout', 'ca.key', '-out', 'ca.pem', ...SUBJECT);
    this.ca = this.#read('ca.pem');
  }

  /** @param names such as `DNS:origin.example` or `IP:127.0.0.1` */
  certify(...names: readonly string[]): Certificate {
    writeFileSync(join(this.#dir, 'names'), `subjectAltName=${names.join(',')}`);
    this.#openssl('req', ...NEW_KEY, '-keyout', 'key.pem', '-out', 'request.pem', ...SUBJECT);
    const by = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-extfile', 'names', '-days', '1'];
    this.#openssl('x509', '-req', '-in', 'request.pem', '-out', 'cert.pem', ...by);
    return { key: this.#read('key.pem'), cert: this.#read('cert.pem') };
  }

  forget(): void {
    rmSync(this.#dir, { recursive: true, force: true });
  }

  #openssl(...args: readonly string[]): void {
    execFileSync('openssl', args, { cwd: this.#dir, stdio: 'pipe' });
  }

  #read(file: string): string {
    return readFileSync(join(this.#dir, file), 'utf8');
  }
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
const SUBJECT = ['-subj', '/CN=canopy test'];
