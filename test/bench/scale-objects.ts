/** Ten thousand services as `kubectl get service,endpointslice -o yaml` tells them, in files of a hundred. */

export const scale = { services: 10_000, endpoints: 10, files: 100 } as const;

const perFile = scale.services / scale.files;

export const fileName = (i: number): string => `services-${String(i).padStart(3, '0')}.yaml`;

/** Service I's address; its port is 80. */
export const serviceAddress = (i: number): string => `10.96.${i >> 8}.${i & 255}`;

const endpointAddress = (n: number): string => `10.${128 + (n >> 16)}.${(n >> 8) & 255}.${n & 255}`;

/** An address that none of the endpoints has. */
export const freeAddress = (n: number): string => `10.200.${n >> 8}.${n & 255}`;

/** File I; with an address, that is the first endpoint of the file's first service. */
export function fileText(i: number, firstEndpoint?: string): string {
  const services = Array.from({ length: perFile }, (_, k) => i * perFile + k);
  return services
    .flatMap((service, k) => [serviceText(service), sliceText(service, k === 0 ? firstEndpoint : undefined)])
    .join('---\n');
}

/** The first service of file I. */
export const firstService = (i: number): number => i * perFile;

const serviceText = (i: number): string => `apiVersion: v1
kind: Service
metadata:
  name: svc-${i}
  namespace: scale
  labels:
    app: svc-${i}
spec:
  type: ClusterIP
  clusterIP: ${serviceAddress(i)}
  clusterIPs:
  - ${serviceAddress(i)}
  ipFamilies:
  - IPv4
  ipFamilyPolicy: SingleStack
  ports:
  - name: http
    port: 80
    protocol: TCP
    targetPort: 8080
  selector:
    app: svc-${i}
  sessionAffinity: None
`;

function sliceText(i: number, firstEndpoint?: string): string {
  const endpoints = Array.from({ length: scale.endpoints }, (_, k) => {
    const n = i * scale.endpoints + k;
    const address = k === 0 && firstEndpoint !== undefined ? firstEndpoint : endpointAddress(n);
    return `- addresses:
  - ${address}
  conditions:
    ready: true
    serving: true
    terminating: false
  nodeName: node-${n % 20}
  targetRef:
    kind: Pod
    name: svc-${i}-7d9f8b6c5-${k}abcd
    namespace: scale
`;
  });
  return `apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: svc-${i}-abcde
  namespace: scale
  labels:
    kubernetes.io/service-name: svc-${i}
    endpointslice.kubernetes.io/managed-by: endpointslice-controller.k8s.io
addressType: IPv4
ports:
- name: http
  port: 8080
  protocol: TCP
endpoints:
${endpoints.join('')}`;
}
