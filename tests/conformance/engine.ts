import { TestDaemon } from '../fixtures/daemon.ts';
import { importBaseImage, removeBaseImage } from './cli/run-case.ts';

/**
 * The engine that a suite is put to, with the base image: a daemon of ours, or the engine at CONFORMANCE_HOST (a dockerd,
 * which proves the expectations themselves).
 */
export class ConformanceEngine {
  readonly host: string;
  readonly #daemon: TestDaemon | undefined;

  private constructor(host: string, daemon: TestDaemon | undefined) {
    this.host = host;
    this.#daemon = daemon;
  }

  static async start(): Promise<ConformanceEngine> {
    const given = process.env['CONFORMANCE_HOST'];
    const daemon = given === undefined ? await TestDaemon.start() : undefined;
    const engine = new ConformanceEngine(given ?? daemon?.host ?? '', daemon);
    importBaseImage(engine.host);
    return engine;
  }

  get isOurs(): boolean {
    return this.#daemon !== undefined;
  }

  async dispose(): Promise<void> {
    removeBaseImage(this.host);
    await this.#daemon?.dispose();
  }
}
