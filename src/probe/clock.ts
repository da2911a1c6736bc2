/** The kernel's CLOCK_MONOTONIC nanoseconds (bpf_ktime_get_ns) as wall-clock time. */
export interface Clock {
  /** CLOCK_MONOTONIC now, nanoseconds. */
  monotonic(): bigint;
  /** Wall-clock time of a CLOCK_MONOTONIC moment. */
  date(monotonicNs: bigint): Date;
}

// process.hrtime reads CLOCK_MONOTONIC, the clock that bpf_ktime_get_ns reads.
export const systemClock: Clock = {
  monotonic: () => process.hrtime.bigint(),
  date: (ns) => new Date(Date.now() - Number((process.hrtime.bigint() - ns) / 1_000_000n)),
};
