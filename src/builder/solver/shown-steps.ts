import type { Dockerfile } from '../dockerfile/instructions/instruction.ts';
import type { BuildPlan } from '../graph/plan.ts';
import { OrderedOutput, type StepOutput } from './ordered-output.ts';

/** Shows nothing. */
export const silent: StepOutput = { say: () => undefined, close: () => undefined };

/** The places of all steps in what a build shows: in the order of the file, whatever is done first. */
export class ShownSteps {
  readonly #output: OrderedOutput;
  /** Of each stage that is shown, for FROM and for its instructions. */
  readonly #stages = new Map<number, readonly StepOutput[]>();
  #count = 0;

  constructor(say: (text: string) => void) {
    this.#output = new OrderedOutput(say);
  }

  /** Opens the places. */
  announce({ metaArgs }: Pick<Dockerfile, 'metaArgs'>, { needed, steps }: BuildPlan): void {
    for (const { original } of metaArgs) {
      const output = this.#open(original, steps);
      output.say('');
      output.close();
    }
    for (const { index, stage } of needed) {
      this.#stages.set(
        index,
        [stage, ...stage.instructions].map(({ original }) => this.#open(original, steps)),
      );
    }
  }

  /** The first is of FROM; none for a stage that is not shown. */
  of(stage: number): readonly StepOutput[] {
    return this.#stages.get(stage) ?? [];
  }

  /** Shows what is still held back. */
  reveal(): void {
    this.#output.reveal();
  }

  #open(original: string, steps: number): StepOutput {
    this.#count += 1;
    return announced(this.#output.open(), `Step ${this.#count}/${steps} : ${original}`);
  }
}

/** Shows `text` and a line's end, as two messages, before whatever is said first; not at all when nothing is. */
function announced(output: StepOutput, text: string): StepOutput {
  let isAnnounced = false;
  return {
    say(said) {
      if (!isAnnounced) {
        isAnnounced = true;
        output.say(text);
        output.say('\n');
      }
      if (said !== '') output.say(said);
    },
    close: () => output.close(),
  };
}
