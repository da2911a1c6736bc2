/** Services and HTTPRoutes of two namespaces, as users of the Gateway API for a mesh write them. */
import type { Host } from './host.ts';

/** A Service of TCP ports. */
export interface MeshService {
  readonly namespace: string;
  readonly name: string;
  readonly clusterIP: string;
  readonly selector: Readonly<Record<string, string>>;
  /** Further fields of its spec. */
  readonly spec?: Readonly<Record<string, unknown>>;
}

/** `http` is port 80 of the containers' port of that name, `http-alt` is port 8080. */
export const meshService = ({ namespace, name, clusterIP, selector, spec = {} }: MeshService): string =>
  `\n${JSON.stringify({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace },
    spec: {
      clusterIP,
      selector,
      ports: [
        { name: 'http', port: 80, appProtocol: 'http', targetPort: 'http' },
        { name: 'http-alt', port: 8080, appProtocol: 'http' },
        { name: 'tcp', port: 9090, targetPort: 8080 },
      ],
      ...spec,
    },
  })}\n`;

export const parent = (name: string, more = ''): string => `{group: "", kind: Service, name: ${name}${more}}`;

export interface MeshAnswer {
  readonly status: number;
  /** Who answered; empty: the mesh itself. */
  readonly who: string;
  readonly location: string;
  /** Of several fields of one name, the last; all are in the head. */
  readonly headers: ReadonlyMap<string, string>;
  readonly head: string;
  readonly body: string;
}

/** One request by curl. */
export async function ask(client: Host, url: string, ...flags: readonly string[]): Promise<MeshAnswer> {
  const text = await client.output(['curl', '-sS', '-i', '-m', '10', ...flags, url]);
  const [head = '', body = ''] = text.split(/\r\n\r\n(.*)/s);
  const [line = '', ...fields] = head.split('\r\n');
  const headers = new Map<string, string>();
  for (const field of fields) {
    const colon = field.indexOf(':');
    headers.set(field.slice(0, colon).toLowerCase(), field.slice(colon + 1).trim());
  }
  const status = Number(line.split(' ')[1]);
  return { status, who: headers.get('x-server') ?? '', location: headers.get('location') ?? '', headers, head, body };
}

/** Headers of a request as a server of the path /echo has seen them, values of one name joined. */
export function seenHeaders({ body }: MeshAnswer): Readonly<Record<string, string>> {
  const { headers } = JSON.parse(body) as { readonly headers: readonly (readonly [string, string])[] };
  const seen: Record<string, string> = {};
  for (const [name, value] of headers) {
    const key = name.toLowerCase();
    seen[key] = key in seen ? `${seen[key]},${value}` : value;
  }
  return seen;
}

/** The path of a request as a server has seen it, by its answer's text. */
export function seenPath({ body }: MeshAnswer): string {
  return body.startsWith('{')
    ? (JSON.parse(body) as { readonly path: string }).path
    : (body.trim().split(' ')[1] ?? '');
}
