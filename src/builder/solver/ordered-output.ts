/** The output of one step of several that run side by side. */
export interface StepOutput {
  say(text: string): void;
  /** Nothing more comes: it is the next one's turn. */
  close(): void;
}

interface Slot {
  waiting: string[];
  isClosed: boolean;
}

/**
 * Shows what steps say one step after the other, in the order in which they were opened: the first that has not ended
 * is shown as it comes, the others when it is their turn.
 */
export class OrderedOutput {
  readonly #write: (text: string) => void;
  readonly #slots: Slot[] = [];
  #turn = 0;

  constructor(write: (text: string) => void) {
    this.#write = write;
  }

  open(): StepOutput {
    const slot: Slot = { waiting: [], isClosed: false };
    this.#slots.push(slot);
    return {
      say: (text) => {
        slot.waiting.push(text);
        this.#flush();
      },
      close: () => {
        slot.isClosed = true;
        this.#flush();
      },
    };
  }

  /** Shows all that there is, because nothing will go on. */
  reveal(): void {
    for (const slot of this.#slots) slot.isClosed = true;
    this.#flush();
  }

  #flush(): void {
    for (; ; this.#turn += 1) {
      const slot = this.#slots[this.#turn];
      if (slot === undefined) return;
      for (const text of slot.waiting.splice(0)) this.#write(text);
      if (!slot.isClosed) return;
    }
  }
}
