import { hostPlatform, parsePlatform } from '../../spec/index.ts';

/** `linux/arm64/v8` as the JSON that the image operations take; undefined for ''. @throws {EngineError} */
export function platformJson(text: string): string | undefined {
  return text === '' ? undefined : JSON.stringify(parsePlatform(text, hostPlatform()));
}

/** Several, each flag with one or a list of them. */
export function platformsJson(texts: readonly string[]): string[] {
  return texts.flatMap((text) => text.split(',')).map((text) => platformJson(text) as string);
}
