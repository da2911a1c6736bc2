/**
 * Where things are in the blob of a route table: the structs of bpf/include/km_route.h, which says what they mean. A test
 * compares these numbers with the types of the compiled eBPF object. Places are counted in units of 8 bytes from the
 * blob's start, 0 is nowhere; integers are in the byte order of x86-64 and arm64, little.
 */
export const unitBytes = 8;

/** "KMRT" */
export const routeMagic = 0x54524d4b;
export const routeVersion = 1;

/** struct km_route_header: offsets in 32-bit words. */
export const header = {
  words: 10,
  magic: 0,
  version: 1,
  generationLow: 2,
  generationHigh: 3,
  bytes: 4,
  virtualHostCount: 5,
  hostStart: 6,
  hostClasses: 7,
  virtualHosts: 8,
  sourceCount: 9,
} as const;

/** struct km_route_virtual_host */
export const virtualHost = {
  words: 6,
  names: 0,
  lookups: 1,
  actions: 2,
  lookupCount: 3,
  summaryWords: 4,
  routeCount: 5,
} as const;

/** struct km_route_lookup; the first word is the field in its low byte and the index in the next. */
export const lookup = { words: 6, field: 0, start: 1, classes: 2, any: 3, absent: 4, unmatched: 5 } as const;

/** struct km_route_names */
export const names = { words: 66, start: 0, classes: 1, filter: 2 } as const;

/** enum km_route_field */
export const field = { path: 0, method: 1, query: 2, random: 3, header: 4, source: 5 } as const;

/** A state's first two slots, before those of its byte classes. */
export const slot = { fallback: 0, output: 1, classes: 2 } as const;
/** Set in the fallback of a state that no byte leaves: the rest of the text makes no difference. */
export const sinkFlag = 0x80000000;

/** Limits that the eBPF programs have as well. */
export const limit = {
  /** The most that every kernel from 5.10 takes as one value of an array (KMALLOC_MAX_SIZE on x86-64). */
  bytes: 4 * 1024 * 1024,
  lookups: 64,
  headerNames: 128,
  requestHeaders: 128,
  sources: 256,
  summaryWords: 8,
  routes: 32_768,
} as const;
