/** Time as sources that wait and try again see it, so that tests need not wait. */
export interface Timers {
  /** Milliseconds that only grow. */
  now(): number;
  /** Wall-clock time. */
  date(): Date;
  /** Calls once after so many milliseconds, unless the returned function is called before. */
  after(milliseconds: number, action: () => void): () => void;
  /** From 0 to below 1. */
  random(): number;
}

export const systemTimers: Timers = {
  now: () => performance.now(),
  date: () => new Date(),
  after: (milliseconds, action) => {
    const timer = setTimeout(action, milliseconds);
    return () => clearTimeout(timer);
  },
  random: () => Math.random(),
};
