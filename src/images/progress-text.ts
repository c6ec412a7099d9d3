import type { ImageProgress } from './images.ts';

const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];

/** Four significant digits and a decimal unit, as Docker writes sizes: `2.157MB`. */
function humanSize(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${Number(value.toPrecision(4))}${units[unit]}`;
}

/** Docker's bar: `[====>      ]  1.2MB/3.4MB`; '' when nothing is known. */
function progressBar(current: number, total: number): string {
  if (current <= 0 && total <= 0) return '';
  if (total <= 0) return humanSize(current).padStart(8);
  const done = Math.min(50, Math.trunc(Math.trunc((current / total) * 100) / 2));
  const bar = `[${'='.repeat(done)}>${' '.repeat(50 - done)}] `;
  const now = humanSize(current).padStart(8);
  return current > total ? bar + now : `${bar}${now}/${humanSize(total)}`;
}

/** A progress message with its members in Docker's order. */
export function progressOf(id: string, status: string, current = 0, total = 0): ImageProgress {
  const progressDetail = {
    ...(current > 0 ? { current } : {}),
    ...(total > 0 ? { total } : {}),
  };
  const progress = progressBar(current, total);
  return {
    status,
    progressDetail,
    ...(progress === '' ? {} : { progress }),
    ...(id === '' ? {} : { id }),
  };
}

/** Lets through at most one message of a kind each 100 ms and the last, so that fast work is not slowed by telling of it. */
export function throttled(total: number, report: (current: number) => void): (current: number) => void {
  let nextMs = 0;
  return (current) => {
    const now = performance.now();
    if (now < nextMs && current < total) return;
    nextMs = now + 100;
    report(current);
  };
}
