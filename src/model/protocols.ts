/** Application protocols of ports, by Istio's rules for protocol selection. */
import type { Protocol, ServicePort } from './types.ts';

const names = new Set('http http2 https grpc grpc-web tcp udp tls mongo mysql redis'.split(' '));

/** Kubernetes' names for appProtocol. */
const aliases: Readonly<Record<string, string>> = {
  'kubernetes.io/h2c': 'http2',
  'kubernetes.io/ws': 'http',
  'kubernetes.io/wss': 'https',
};

/** Ports of protocols in which the server speaks first, so that there are no first bytes to look at: SMTP, DNS, MySQL, MongoDB. */
const serverFirst: ReadonlySet<number> = new Set([25, 53, 3306, 27017]);

/** appProtocol as given, else what the port's name says by Istio's rule `PROTOCOL[-SUFFIX]`; empty when neither does. */
export function appProtocolOf(given: string, portName: string): string {
  return given === '' ? prefixOf(portName) : given;
}

/** How a port's connections are taken: HTTP/2 and gRPC are not read here, and pass as layer 4. */
export function modeOf(protocol: Protocol, appProtocol: string, port: number): ServicePort['mode'] {
  if (protocol === 'UDP') return 'tcp';
  const known = aliases[appProtocol] ?? prefixOf(appProtocol.toLowerCase());
  if (known === 'http') return 'http';
  // gRPC-Web goes over HTTP/1.1 and HTTP/2; its first bytes tell.
  if (known === 'grpc-web') return 'detect';
  return known !== '' || serverFirst.has(port) ? 'tcp' : 'detect';
}

function prefixOf(text: string): string {
  if (text === 'grpc-web' || text.startsWith('grpc-web-')) return 'grpc-web';
  const dash = text.indexOf('-');
  const prefix = dash < 0 ? text : text.slice(0, dash);
  return names.has(prefix) ? prefix : '';
}
