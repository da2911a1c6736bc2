/** Arrays of one value, as they stand inside a map of maps: they are made with their contents, and then only replaced. */
import { KmError } from '../base/errors.ts';
import { rawMap } from './map.ts';
import { mapTypeNumber } from './maptype.ts';
import { BpfAttr, bpfCommand, close, errnoName } from './syscall.ts';

const firstKey = new Uint8Array(4);

/** A new array whose value begins with these bytes and goes on with zeros. Returns a descriptor that the caller closes. KM4007. */
export function createValueArray(name: string, valueSize: number, content: Uint8Array): number {
  const type = mapTypeNumber('array');
  const fd = new BpfAttr().u32(0, type).u32(4, 4).u32(8, valueSize).u32(12, 1).call(bpfCommand.MAP_CREATE);
  if (fd < 0) throw new KmError('KM4007', `map ${name}: create with ${valueSize} bytes: ${errnoName(fd)}`);
  try {
    const value = new Uint8Array(valueSize);
    value.set(content);
    rawMap(fd, name).set(firstKey, value);
  } catch (error) {
    close(fd);
    throw error;
  }
  return fd;
}
