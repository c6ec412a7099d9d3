const binary: Readonly<Record<string, number>> = {
  k: 2 ** 10,
  m: 2 ** 20,
  g: 2 ** 30,
  t: 2 ** 40,
  p: 2 ** 50,
};

/** Parses `512m`, `1.5GiB`, `4096` as bytes, with powers of 1024. */
export function parseSize(text: string): number {
  const match = /^(.*[0-9.]) ?([^0-9. ]*)$/.exec(text);
  if (match === null) throw new Error(`invalid size: '${text}'`);
  const [, digits = '', suffix = ''] = match;
  if (!/^[+-]?(\d+\.?\d*|\.\d+)$/.test(digits)) {
    throw new Error(`strconv.ParseFloat: parsing ${JSON.stringify(digits)}: invalid syntax`);
  }
  const number = Number(digits);
  if (number < 0) throw new Error(`invalid size: '${text}'`);
  const unit = suffix.toLowerCase();
  if (unit === '' || unit === 'b') return Math.trunc(number);
  const factor = binary[unit[0] ?? ''];
  if (factor === undefined || !['', 'b', 'ib'].includes(unit.slice(1)))
    throw new Error(`invalid suffix: '${unit.length > 3 ? suffix : unit}'`);
  return Math.trunc(number * factor);
}

/** Like `parseSize`, and -1 for unlimited. */
export function parseSwapSize(text: string): number {
  return text === '-1' ? -1 : parseSize(text);
}

/** `--cpus 1.5` as billionths of a CPU. */
export function parseCpus(text: string): number {
  const match = /^([+-]?)(\d*)(?:\.(\d*))?(?:\/(\d+))?$/.exec(text);
  if (match === null || (match[2] === '' && !match[3]))
    throw new Error(`failed to parse ${text} as a rational number`);
  const fraction = match[3] ?? '';
  let nano: bigint;
  if (match[4] !== undefined) {
    const numerator = BigInt(match[2] ?? '0') * 1_000_000_000n;
    const divisor = BigInt(match[4]);
    if (divisor === 0n) throw new Error(`failed to parse ${text} as a rational number`);
    if (numerator % divisor !== 0n) throw new Error('value is too precise');
    nano = numerator / divisor;
  } else {
    if (/[1-9]/.test(fraction.slice(9))) throw new Error('value is too precise');
    nano = BigInt(`${match[2] ?? ''}${fraction.slice(0, 9).padEnd(9, '0')}`);
  }
  return Number(match[1] === '-' ? -nano : nano);
}
