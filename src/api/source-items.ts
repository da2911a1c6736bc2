/** The sources as `kmeshctl get sources` lists them: one row for each thing that a source subscribes to. */
import type { SourceItem, SourceStatus } from './types.ts';

export function sourceItems(sources: readonly SourceStatus[]): SourceItem[] {
  return sources.flatMap(itemsOf);
}

function itemsOf(source: SourceStatus): readonly SourceItem[] {
  const { name, location, error, lastChange, objects, synced } = source;
  const common = { source: name, location, refused: 0, acks: null, nacks: null };
  if (source.xds !== undefined) {
    const { connected, types } = source.xds;
    return types.map((one) => ({
      ...common,
      subscription: one.type,
      state: !connected ? 'NOT CONNECTED' : !one.answered ? 'NOT SENT' : one.refused > 0 ? 'REFUSED' : 'SYNCED',
      objects: one.resources,
      refused: one.refused,
      version: one.version,
      acks: one.acks,
      nacks: one.nacks,
      lastHeard: one.lastPush,
      error: connected ? one.lastNack : error,
    }));
  }
  if (source.resources !== undefined && source.resources.length > 0) {
    return source.resources.map((one) => ({
      ...common,
      subscription: one.name,
      state: one.state,
      objects: one.objects,
      version: one.version,
      lastHeard: one.lastHeard,
      error: one.error ?? error,
    }));
  }
  const state = error !== null ? 'failing' : synced ? 'watching' : 'reading';
  return [{ ...common, subscription: null, state, objects, version: null, lastHeard: lastChange, error }];
}
