/** Emulated machines (KMESH_SLOW) take their time. */
export const patience = process.env['KMESH_SLOW'] === undefined ? 1 : 10;
