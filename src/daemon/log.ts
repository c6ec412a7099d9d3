/** Levels as logrus writes them. */
export type LogLevel = 'debug' | 'info' | 'warning' | 'error';

const order: readonly LogLevel[] = ['debug', 'info', 'warning', 'error'];

export interface DaemonLogOptions {
  level: LogLevel;
  format: 'text' | 'json';
  /** Where lines go; standard error when absent. */
  write?: (line: string) => void;
}

/** The daemon's log, line by line in dockerd's shape: `time="…" level=info msg="…" key=value`. */
export class DaemonLog {
  level: LogLevel;
  readonly #format: 'text' | 'json';
  readonly #write: (line: string) => void;

  constructor(options: DaemonLogOptions) {
    this.level = options.level;
    this.#format = options.format;
    this.#write = options.write ?? ((line) => void process.stderr.write(line));
  }

  debug(message: string, fields?: Readonly<Record<string, unknown>>): void {
    this.write('debug', message, fields);
  }
  info(message: string, fields?: Readonly<Record<string, unknown>>): void {
    this.write('info', message, fields);
  }
  warning(message: string, fields?: Readonly<Record<string, unknown>>): void {
    this.write('warning', message, fields);
  }
  error(message: string, fields?: Readonly<Record<string, unknown>>): void {
    this.write('error', message, fields);
  }

  write(level: LogLevel, message: string, fields: Readonly<Record<string, unknown>> = {}): void {
    if (order.indexOf(level) < order.indexOf(this.level)) return;
    const time = new Date().toISOString();
    if (this.#format === 'json') {
      this.#write(`${JSON.stringify({ ...fields, level, msg: message, time })}\n`);
      return;
    }
    const pairs = Object.entries(fields).map(([key, value]) => ` ${key}=${quote(String(value), false)}`);
    this.#write(`time="${time}" level=${level} msg=${quote(message, true)}${pairs.join('')}\n`);
  }
}

/** logrus quotes what is not a plain word; the message always when it has a blank. */
function quote(text: string, message: boolean): string {
  return !message && /^[\w./@^+-]+$/.test(text) ? text : JSON.stringify(text);
}
