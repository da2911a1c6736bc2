import { accessSync, closeSync, constants, openSync, readSync, realpathSync } from 'node:fs';
import { delimiter, join } from 'node:path';

const elfMagic = '\x7fELF';

/** The Python 3 of PATH itself; wrappers (pyenv's shims are shell scripts) cost as much as a hundred connections. */
export function python(path: string = process.env['PATH'] ?? ''): string {
  const candidates = [...path.split(delimiter), '/usr/bin'].map((directory) => join(directory, 'python3'));
  const found = candidates.find(isProgram);
  if (found === undefined) throw new Error('there is no python3: run make setup');
  return realpathSync(found);
}

/** The command line of one of the programs in test/lab. */
export const pythonProgram = (file: string): readonly string[] => [python(), join(import.meta.dirname, file)];

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    const fd = openSync(file, 'r');
    try {
      const magic = Buffer.alloc(4);
      readSync(fd, magic, 0, 4, 0);
      return magic.toString('latin1') === elfMagic;
    } finally {
      closeSync(fd);
    }
  } catch {
    return false;
  }
}
