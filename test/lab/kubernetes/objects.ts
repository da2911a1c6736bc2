/** Objects that the scenarios give an API server. */
import type { ApiObject } from '../../../src/source/kubernetes/testing.ts';

/** A Service of namespace `shop` with HTTP at port 80, and its one endpoint at port 8080. */
export function serviceOf(name: string, clusterIP: string, endpoint: string): readonly ApiObject[] {
  const namespace = 'shop';
  return [
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name, namespace },
      spec: { clusterIP, ports: [{ name: 'http', port: 80, targetPort: 8080 }] },
    },
    {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name: `${name}-a`, namespace, labels: { 'kubernetes.io/service-name': name } },
      addressType: 'IPv4',
      ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
      endpoints: [{ addresses: [endpoint], conditions: { ready: true } }],
    },
  ];
}
