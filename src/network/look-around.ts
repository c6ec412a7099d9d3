const LOOK_AROUND_MS = 1000;

/** Looks now and every second. @returns when there is nothing more to look after */
export function lookAround(look: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const once = (): void => {
      if (look()) return;
      clearInterval(timer);
      resolve();
    };
    const timer = setInterval(once, LOOK_AROUND_MS);
    once();
  });
}
