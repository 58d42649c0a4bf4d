import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';
import { expect } from 'vitest';
import { RunningUp } from '../canopy.ts';

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-background-networking',
  '--no-first-run',
];

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

const SIZES = { wide: { width: 1440, height: 900 }, narrow: { width: 390, height: 844 } } as const;

/** A network with its dashboard in a real browser, one for all tests of a file. */
export class Dashboard {
  readonly up: RunningUp;
  readonly #browser: Browser;
  readonly #root: string;
  readonly #errors: string[] = [];
  readonly #axe: string;

  private constructor(up: RunningUp, browser: Browser, root: string, axe: string) {
    this.up = up;
    this.#browser = browser;
    this.#root = root;
    this.#axe = axe;
  }

  /** @param args of `canopy up` */
  static async start(...args: readonly string[]): Promise<Dashboard> {
    const root = await mkdtemp(join(tmpdir(), 'canopy-dashboard-'));
    const [up, browser, axe] = await Promise.all([
      RunningUp.start(join(root, 'state'), ...args),
      chromium.launch({ executablePath: '/usr/bin/chromium', args: FLAGS }),
      readFile(AXE, 'utf8'),
    ]);
    return new Dashboard(up, browser, root, axe);
  }

  get url(): string {
    return `${this.up.ready.controlPlane.url}/dashboard/`;
  }

  get token(): string {
    return this.up.ready.controlPlane.token;
  }

  /** Signed in, at a page such as `nodes`. What it writes to the console as an error fails `close`. */
  async open(
    path = '',
    {
      size = 'wide',
      theme = 'light',
    }: { size?: keyof typeof SIZES; theme?: 'light' | 'dark' } = {},
  ): Promise<Page> {
    const page = await this.openSignedOut({ size, theme });
    await page.goto(`${this.url}#token=${this.token}`);
    // The menu is folded away on narrow screens.
    await page.locator('#menu').waitFor({ state: 'attached' });
    await page.goto(`${this.url}#/${path}`);
    return page;
  }

  /** At the form that asks for a token. */
  async openSignedOut({
    size = 'wide',
    theme = 'light',
  }: { size?: keyof typeof SIZES; theme?: 'light' | 'dark' } = {}): Promise<Page> {
    const context = await this.#browser.newContext({
      viewport: SIZES[size],
      colorScheme: theme,
      reducedMotion: 'reduce',
    });
    const page = await context.newPage();
    // Names the step that hangs before the test as a whole is ended.
    page.setDefaultTimeout(20_000);
    page.on('console', (message) => {
      if (message.type() === 'error') this.#errors.push(`${page.url()}: ${message.text()}`);
    });
    page.on('pageerror', (error) => this.#errors.push(`${page.url()}: ${error.message}`));
    await page.goto(this.url);
    return page;
  }

  /** Fails with what hinders who cannot see or use a mouse, by axe-core. */
  async requireAccessible(page: Page): Promise<void> {
    // The page's policy forbids scripts of others; a debugger is not bound by it.
    await page.evaluate(this.#axe);
    const violations = await page.evaluate(async () => {
      const { axe } = globalThis as unknown as {
        axe: { run(): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }> };
      };
      const { violations: found } = await axe.run();
      return found.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' | ')}`);
    });
    expect(violations).toEqual([]);
  }

  /** Fails where a page is wider than its window. */
  async requireFitting(page: Page): Promise<void> {
    const isWider = 'document.documentElement.scrollWidth > document.documentElement.clientWidth';
    expect(await page.evaluate(isWider)).toBe(false);
  }

  /** Keeps a picture in `CANOPY_SCREENSHOTS`, if that is set. */
  async picture(page: Page, name: string): Promise<void> {
    const dir = process.env['CANOPY_SCREENSHOTS'];
    if (dir === undefined) return;
    await mkdir(dir, { recursive: true });
    await page.screenshot({ path: join(dir, `${name}.png`), fullPage: true });
  }

  /** Errors that pages are meant to write, such as an answer of 401, are taken out of those that count. */
  expectError(pattern: RegExp): void {
    const at = this.#errors.findIndex((text) => pattern.test(text));
    expect(at, `no error like ${pattern} among ${this.#errors.join('\n')}`).not.toBe(-1);
    this.#errors.splice(at, 1);
  }

  /** @throws AssertionError where any page has written errors to its console */
  async close(): Promise<void> {
    await this.#browser.close();
    await this.up.end('SIGINT');
    await rm(this.#root, { recursive: true, force: true, maxRetries: 10 });
    expect(this.#errors).toEqual([]);
  }
}
