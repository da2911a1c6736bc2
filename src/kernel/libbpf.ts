import koffi from 'koffi';
import { KmError } from '../base/errors.ts';
import { allocate, errnoName } from './syscall.ts';

/** Pointers into libbpf's objects. 0n is NULL. */
export type Pointer = bigint;

/**
 * The few functions of libbpf (1.x) that the loader calls. Those that return a number return 0 or more, or the negative
 * errno; those that return a pointer return 0n and leave errno.
 */
export interface Libbpf {
  readonly openMem: (bytes: Uint8Array, size: number, options: Pointer) => Pointer;
  readonly load: (object: Pointer) => number;
  readonly closeObject: (object: Pointer) => void;
  readonly objectBtf: (object: Pointer) => Pointer;
  readonly nextMap: (object: Pointer, previous: Pointer) => Pointer;
  readonly mapName: (map: Pointer) => string;
  readonly mapType: (map: Pointer) => number;
  readonly mapKeySize: (map: Pointer) => number;
  readonly mapValueSize: (map: Pointer) => number;
  readonly mapMaxEntries: (map: Pointer) => number;
  readonly mapFlags: (map: Pointer) => number;
  readonly mapIsInternal: (map: Pointer) => boolean;
  readonly mapFd: (map: Pointer) => number;
  readonly setMapMaxEntries: (map: Pointer, entries: number) => number;
  readonly reuseMapFd: (map: Pointer, fd: number) => number;
  /** Memory that becomes the map's first content; valid until the object is closed. `size` gets a size_t. */
  readonly mapInitialValue: (map: Pointer, size: Pointer) => Pointer;
  readonly nextProgram: (object: Pointer, previous: Pointer) => Pointer;
  readonly programName: (program: Pointer) => string;
  readonly programSection: (program: Pointer) => string;
  readonly programType: (program: Pointer) => number;
  readonly programAttachType: (program: Pointer) => number;
  readonly programFd: (program: Pointer) => number;
  readonly setProgramAutoload: (program: Pointer, autoload: boolean) => number;
  readonly btfFind: (btf: Pointer, name: string, kind: number) => number;
  readonly btfType: (btf: Pointer, id: number) => Pointer;
  readonly btfName: (btf: Pointer, offset: number) => string;
  readonly tcHookCreate: (hook: Pointer) => number;
  readonly tcHookDestroy: (hook: Pointer) => number;
  readonly tcAttach: (hook: Pointer, options: Pointer) => number;
  readonly tcDetach: (hook: Pointer, options: Pointer) => number;
  readonly tcQuery: (hook: Pointer, options: Pointer) => number;
  /** BTF type of the kernel's function behind a tracing or iterator hook. */
  readonly findVmlinuxBtfId: (name: string, attachType: number) => number;
  /** Runs `action` with libbpf's messages gathered instead of printed. */
  readonly quietly: <T>(action: () => T) => { readonly result: T; readonly messages: string };
}

const soname = 'libbpf.so.1';

/** Room for one message; libbpf's longest carries a few names. */
const messageSize = 1 << 16;

/** Opens libbpf. KM4001 when the library is not installed. */
export function openLibbpf(): Libbpf {
  const lib = loadLibrary();
  const quietly = messageCatcher(lib);
  return {
    openMem: pointerResult(
      lib.func('uintptr_t bpf_object__open_mem(const void *buffer, size_t size, uintptr_t options)'),
    ),
    load: lib.func('int bpf_object__load(uintptr_t object)'),
    closeObject: lib.func('void bpf_object__close(uintptr_t object)'),
    objectBtf: pointerResult(lib.func('uintptr_t bpf_object__btf(uintptr_t object)')),
    nextMap: pointerResult(lib.func('uintptr_t bpf_object__next_map(uintptr_t object, uintptr_t map)')),
    mapName: lib.func('const char *bpf_map__name(uintptr_t map)'),
    mapType: lib.func('int bpf_map__type(uintptr_t map)'),
    mapKeySize: lib.func('uint32_t bpf_map__key_size(uintptr_t map)'),
    mapValueSize: lib.func('uint32_t bpf_map__value_size(uintptr_t map)'),
    mapMaxEntries: lib.func('uint32_t bpf_map__max_entries(uintptr_t map)'),
    mapFlags: lib.func('uint32_t bpf_map__map_flags(uintptr_t map)'),
    mapIsInternal: lib.func('bool bpf_map__is_internal(uintptr_t map)'),
    mapFd: lib.func('int bpf_map__fd(uintptr_t map)'),
    setMapMaxEntries: lib.func('int bpf_map__set_max_entries(uintptr_t map, uint32_t entries)'),
    reuseMapFd: lib.func('int bpf_map__reuse_fd(uintptr_t map, int fd)'),
    mapInitialValue: pointerResult(lib.func('uintptr_t bpf_map__initial_value(uintptr_t map, uintptr_t size)')),
    nextProgram: pointerResult(lib.func('uintptr_t bpf_object__next_program(uintptr_t object, uintptr_t program)')),
    programName: lib.func('const char *bpf_program__name(uintptr_t program)'),
    programSection: lib.func('const char *bpf_program__section_name(uintptr_t program)'),
    programType: lib.func('int bpf_program__type(uintptr_t program)'),
    programAttachType: lib.func('int bpf_program__expected_attach_type(uintptr_t program)'),
    programFd: lib.func('int bpf_program__fd(uintptr_t program)'),
    setProgramAutoload: lib.func('int bpf_program__set_autoload(uintptr_t program, bool autoload)'),
    btfFind: lib.func('int btf__find_by_name_kind(uintptr_t btf, const char *name, uint32_t kind)'),
    btfType: pointerResult(lib.func('uintptr_t btf__type_by_id(uintptr_t btf, uint32_t id)')),
    btfName: lib.func('const char *btf__name_by_offset(uintptr_t btf, uint32_t offset)'),
    tcHookCreate: lib.func('int bpf_tc_hook_create(uintptr_t hook)'),
    tcHookDestroy: lib.func('int bpf_tc_hook_destroy(uintptr_t hook)'),
    tcAttach: lib.func('int bpf_tc_attach(uintptr_t hook, uintptr_t options)'),
    tcDetach: lib.func('int bpf_tc_detach(uintptr_t hook, uintptr_t options)'),
    tcQuery: lib.func('int bpf_tc_query(uintptr_t hook, uintptr_t options)'),
    findVmlinuxBtfId: lib.func('int libbpf_find_vmlinux_btf_id(const char *name, int attachType)'),
    quietly,
  };
}

function loadLibrary(): ReturnType<typeof koffi.load> {
  try {
    return koffi.load(soname);
  } catch (cause) {
    throw new KmError('KM4001', `${soname} cannot be opened`, { cause });
  }
}

/** koffi gives an integer of 64 bits as a number while it is small. */
function pointerResult<A extends unknown[]>(call: (...args: A) => number | bigint): (...args: A) => Pointer {
  return (...args) => BigInt(call(...args));
}

function messageCatcher(lib: ReturnType<typeof koffi.load>): Libbpf['quietly'] {
  const setPrint: (callback: Pointer) => number | bigint = lib.func('uintptr_t libbpf_set_print(uintptr_t callback)');
  // A va_list argument is passed as a pointer on x86-64 and arm64 alike.
  const vsnprintf: (target: Pointer, size: number, format: Pointer, args: Pointer) => number = koffi
    .load('libc.so.6')
    .func('int vsnprintf(uintptr_t target, size_t size, uintptr_t format, uintptr_t args)');
  const printType = koffi.pointer(koffi.proto('int', ['int', 'uintptr_t', 'uintptr_t']));
  return (action) => {
    const buffer = allocate(messageSize);
    let messages = '';
    const print = (level: number, format: number | bigint, args: number | bigint): number => {
      const debug = 2;
      if (level >= debug) return 0;
      const length = vsnprintf(buffer.address, messageSize, BigInt(format), BigInt(args));
      const end = Math.min(Math.max(length, 0), messageSize - 1);
      messages += Buffer.from(buffer.bytes.subarray(0, end)).toString('utf8');
      return 0;
    };
    const callback = koffi.register(print, printType);
    const before = BigInt(setPrint(callback));
    try {
      return { result: action(), messages };
    } finally {
      setPrint(before);
      koffi.unregister(callback);
    }
  };
}

/** `EINVAL` for libbpf's negative result, or one of libbpf's own numbers from 4000 up. */
export function libbpfErrorName(result: number): string {
  const own = [
    'LIBELF',
    'FORMAT',
    'KVERSION',
    'ENDIAN',
    'INTERNAL',
    'RELOC',
    'LOAD',
    'VERIFY',
    'PROG2BIG',
    'KVER',
    'PROGTYPE',
  ];
  const number = Math.abs(result);
  return own[number - 4000] ?? errnoName(number);
}
