import type { Context } from './context.ts';

/** Writes a value as JSON or YAML, as a machine wants it. */
export async function printData(context: Context, format: string, value: unknown): Promise<void> {
  if (format === 'json') {
    context.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
    return;
  }
  const { dump } = await import('js-yaml');
  context.stdout.write(dump(value, { noRefs: true, lineWidth: -1 }));
}
