import type { Instruction } from '../dockerfile/instructions/instruction.ts';
import type { BuildPlan, PlannedStage } from '../graph/plan.ts';

/** Steps as progress names them: `[build 2/3] RUN make`. Only what makes files is counted, as in BuildKit. */
export class StepNames {
  readonly #stages: ReadonlyMap<number, { label: string; total: number }>;
  readonly #given = new Map<number, number>();

  /** @param label in front of all of them */
  constructor(plan: Pick<BuildPlan, 'stages' | 'needed'>, label = '') {
    const severalStages = plan.stages.length > 1;
    this.#stages = new Map(
      plan.needed.map(({ index, stage, base }) => {
        const name = stage.name === '' ? (severalStages ? `stage-${index}` : '') : stage.name;
        const files = stage.instructions.filter(makesFiles).length;
        return [
          index,
          {
            label: [label, name]
              .filter((part) => part !== '')
              .map((part) => `${part} `)
              .join(''),
            total: files + (base.kind === 'image' ? 1 : 0),
          },
        ];
      }),
    );
  }

  /** Undefined for an instruction that makes no files. */
  of(stage: number, instruction: Instruction): string | undefined {
    return makesFiles(instruction) ? this.#next(stage, shown(instruction.original)) : undefined;
  }

  /** Undefined for `scratch` and other stages: there is nothing to fetch. */
  ofBase({ index, base }: PlannedStage): string | undefined {
    return base.kind === 'image' ? this.#next(index, `FROM ${base.name}`) : undefined;
  }

  #next(stage: number, text: string): string {
    const { label, total } = this.#stages.get(stage) ?? { label: '', total: 0 };
    const number = (this.#given.get(stage) ?? 0) + 1;
    this.#given.set(stage, number);
    return `[${label}${String(number).padStart(String(total).length)}/${total}] ${text}`;
  }
}

function makesFiles({ kind }: Instruction): boolean {
  return kind === 'run' || kind === 'copy' || kind === 'add' || kind === 'workdir';
}

/** In one line. */
function shown(original: string): string {
  return original.replaceAll(/\s+/g, ' ').trim();
}
