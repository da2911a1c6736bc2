/** Application protocols of ports. */

const byName = new Set('http http2 https grpc grpc-web tls mongo mysql redis'.split(' '));

/** appProtocol as given, else what the port's name says by Istio's rule `PROTOCOL[-SUFFIX]`; empty when neither does. */
export function appProtocolOf(given: string, portName: string): string {
  if (given !== '') return given;
  if (portName === 'grpc-web' || portName.startsWith('grpc-web-')) return 'grpc-web';
  const dash = portName.indexOf('-');
  const prefix = dash < 0 ? portName : portName.slice(0, dash);
  return byName.has(prefix) ? prefix : '';
}
