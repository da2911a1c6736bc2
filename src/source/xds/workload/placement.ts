/** Which workloads of a service a client of this machine is to use, by where they are. */
import { parseLocality } from '../../../model/localities.ts';
import type { Scope, ServiceSpec } from './service-spec.ts';
import type { WorkloadSpec } from './workload-spec.ts';

/** Where this daemon is. */
export interface Place {
  readonly network: string;
  readonly node: string;
  readonly clusterId: string;
  /** `region/zone/subzone` */
  readonly locality: string | null;
}

/** The members that are chosen; all of them when the service has no preference or the place is not known. */
export function nearest(
  locality: ServiceSpec['locality'],
  place: Place,
  members: readonly WorkloadSpec[],
  usable: (member: WorkloadSpec) => boolean,
): readonly WorkloadSpec[] {
  if (locality === null || locality.scopes.length === 0) return members;
  const rank = (member: WorkloadSpec): number => {
    const differs = locality.scopes.findIndex((scope) => !shares(scope, place, member));
    return differs < 0 ? locality.scopes.length : differs;
  };
  if (locality.mode === 'strict') return members.filter((member) => rank(member) === locality.scopes.length);
  const best = Math.max(-1, ...members.filter(usable).map(rank));
  return members.filter((member) => rank(member) === best || !usable(member));
}

function shares(scope: Scope, place: Place, workload: WorkloadSpec): boolean {
  switch (scope) {
    case 'node':
      return workload.node === place.node;
    case 'cluster':
      return (workload.clusterId ?? '') === place.clusterId;
    case 'network':
      return (workload.network ?? '') === place.network;
    default:
      return parseLocality(workload.locality ?? '')[scope] === parseLocality(place.locality ?? '')[scope];
  }
}
