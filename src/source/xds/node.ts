/** Who the client says it is, as istiod reads it (`TYPE~IP~NAME.NAMESPACE~DOMAIN` and metadata). */
import { create, type JsonObject } from '@bufbuild/protobuf';
import { type Node, NodeSchema } from './gen/messages.gen.ts';

export interface Identity {
  readonly podName: string;
  readonly podNamespace: string;
  /** The first is in the node's id; more with commas, as `status.podIPs` gives them: istiod then knows both families. */
  readonly instanceIp: string;
  readonly nodeName: string;
  readonly serviceAccount: string;
  readonly clusterId: string;
  readonly network: string;
  readonly meshId: string;
  readonly version: string;
  /** More metadata, from ISTIO_METAJSON_* variables. */
  readonly metadata: JsonObject;
}

/** `sidecar` gets Envoy's resources, `ztunnel` workloads and services. */
export function nodeOf(role: 'sidecar' | 'ztunnel', identity: Identity): Node {
  const { podName, podNamespace, instanceIp } = identity;
  const metadata: JsonObject = {
    NAME: podName,
    NAMESPACE: podNamespace,
    // One text with commas: istiod refuses a list.
    INSTANCE_IPS: instanceIp,
    NODE_NAME: identity.nodeName,
    CLUSTER_ID: identity.clusterId,
    NETWORK: identity.network,
    MESH_ID: identity.meshId,
    SERVICE_ACCOUNT: identity.serviceAccount,
    ISTIO_VERSION: identity.version,
    ...identity.metadata,
  };
  const wanted = Object.entries(metadata).filter(([, value]) => value !== '');
  return create(NodeSchema, {
    id: `${role}~${instanceIp.split(',')[0]}~${podName}.${podNamespace}~${podNamespace}.svc.cluster.local`,
    metadata: Object.fromEntries(wanted),
  });
}
