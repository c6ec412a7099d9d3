import type { Instruction } from '../dockerfile/instructions/instruction.ts';
import { locate } from '../dockerfile/location.ts';
import type { BuildTrace, TracedStep } from '../progress/trace.ts';
import type { StepOutput } from './ordered-output.ts';
import type { VertexObserver } from './session.ts';

/** Shows how an instruction's vertex gets on, in the trace and in the place of its step. */
export function stepObserver(
  trace: BuildTrace,
  { name, output, instruction }: { name: string; output: StepOutput; instruction: Instruction },
): VertexObserver {
  let traced: TracedStep | undefined;
  const decoders = { stdout: new TextDecoder(), stderr: new TextDecoder() };
  return {
    begin: () => {
      traced = trace.begin(name);
      output.say('');
    },
    output: (said) => {
      if (said.kind === 'note') {
        output.say(said.text);
        return;
      }
      traced?.log(said.kind, said.chunk);
      const text = decoders[said.kind].decode(said.chunk, { stream: true });
      // Standard error in bright red, as Docker's classic builder shows it.
      if (text !== '') output.say(said.kind === 'stdout' ? text : `\u001b[91m${text}\u001b[0m`);
    },
    cached: () => traced?.cached(),
    end: (error) => {
      if (error !== undefined) locate(error, instruction);
      traced?.end(error);
    },
  };
}
