/** What the HTTP scenarios share: objects as a user writes them, and waiting until the kernel has forgotten everything. */
import type { MapItem } from '../../src/api/types.ts';
import { patience, type TestMesh } from './mesh.ts';
import { until } from './sockets.ts';

/** KMESH_LONG asks for the full size of what is short by default; emulated machines (KMESH_SLOW) get less. */
export const many = (short: number, long: number): number => {
  if (process.env['KMESH_LONG'] !== undefined) return long;
  return patience === 1 ? short : Math.max(1, Math.round(short / 10));
};

export interface ServiceOptions {
  /** One of each family. */
  readonly addresses: readonly [ip4: string, ip6: string];
  readonly selector: Readonly<Record<string, string>>;
  /** Name of the port, by which Kubernetes users say what protocol it has; default `http`. */
  readonly portName?: string;
  readonly port?: number;
  readonly targetPort?: number;
}

/** A Service of both families with one port. */
export const service = (name: string, o: ServiceOptions): string => `
apiVersion: v1
kind: Service
metadata: {name: ${name}, namespace: shop}
spec:
  clusterIP: ${JSON.stringify(o.addresses[0])}
  clusterIPs: ${JSON.stringify(o.addresses)}
  selector: ${JSON.stringify(o.selector)}
  ports: [{name: ${o.portName ?? 'http'}, port: ${o.port ?? 80}, targetPort: ${o.targetPort ?? 8080}}]
`;

/** A DestinationRule with subsets by the label `version`, and a traffic policy as YAML in braces. */
export const destination = (host: string, versions: readonly string[], trafficPolicy?: string): string => `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: ${host}, namespace: shop}
spec:
  host: ${host}
${trafficPolicy === undefined ? '' : `  trafficPolicy: ${trafficPolicy}\n`}${
  versions.length === 0
    ? ''
    : `  subsets:\n${versions.map((version) => `  - {name: ${version}, labels: {version: ${version}}}\n`).join('')}`
}`;

/** A VirtualService for one host; `http` is the YAML of its list of routes, written from the first column on. */
export const virtualService = (host: string, http: string): string => `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: ${host}, namespace: shop}
spec:
  hosts: [${host}]
  http:
${indented(http)}`;

/** An HTTPRoute of the Gateway API; `parents` and `rules` are YAML: in braces, and of a list from the first column on. */
export const meshRoute = (namespace: string, name: string, parents: string, rules: string): string => `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: ${name}, namespace: ${namespace}}
spec:
  parentRefs: [${parents}]
  rules:
${indented(rules)}`;

/** The same of port 80 of a Service of `shop`, by its name. */
export const httpRoute = (host: string, rules: string): string =>
  meshRoute('shop', host, `{kind: Service, group: '', name: ${host}, port: 80}`, rules);

function indented(yaml: string): string {
  return yaml
    .trim()
    .split('\n')
    .map((line) => `  ${line}\n`)
    .join('');
}

/** Kernel tables that have something only while there are connections. */
const transient = ['km_flow', 'km_wire', 'km_answers'] as const;

/** Waits until the kernel holds nothing of any HTTP connection any more. Late packets have their time of grace. */
export async function forgotten(mesh: TestMesh): Promise<void> {
  const left = async () => {
    const maps = await mesh.get<MapItem>('maps');
    return transient.map((name) => {
      const map = maps.find((one) => one.name === name);
      if (map === undefined) throw new Error(`there is no map ${name}`);
      return `${name}=${map.entries}`;
    });
  };
  const none = async () => (await left()).every((text) => text.endsWith('=0'));
  await until('no flow, no wire port', none, 90_000 * patience, async () => (await left()).join(' '));
}
