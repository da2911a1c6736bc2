/** core/v1 Pod: addresses, readiness, identity, named ports. Nothing else of its spec changes what the mesh does. */
import type { ContainerPort, PodObject } from '../../model/objects.ts';
import type { Protocol } from '../../model/types.ts';
import { type Fields, fieldTable } from '../fields.ts';
import { portNameProblem } from '../names.ts';
import { dataplaneMode, type KindReader, localityOf, type Metadata, readAddress } from './kind.ts';

const podTable = fieldTable({ read: 'apiVersion kind metadata spec status' });

const specTable = fieldTable({
  read: 'containers initContainers serviceAccountName hostNetwork nodeName',
  harmless: `activeDeadlineSeconds affinity automountServiceAccountToken dnsConfig dnsPolicy enableServiceLinks
    ephemeralContainers hostAliases hostIPC hostPID hostUsers hostname hostnameOverride imagePullSecrets nodeSelector os
    overhead preemptionPolicy priority priorityClassName readinessGates resourceClaims resources restartPolicy
    runtimeClassName schedulerName schedulingGates securityContext serviceAccount setHostnameAsFQDN shareProcessNamespace
    subdomain terminationGracePeriodSeconds tolerations topologySpreadConstraints volumes workloadRef`,
});

const containerTable = fieldTable({
  read: 'ports restartPolicy',
  harmless: `name image args command env envFrom imagePullPolicy lifecycle livenessProbe readinessProbe resizePolicy resources
    restartPolicyRules securityContext startupProbe stdin stdinOnce terminationMessagePath terminationMessagePolicy tty
    volumeDevices volumeMounts workingDir`,
});

// A host port is the container runtime's doing; the mesh leaves it alone.
const portTable = fieldTable({ read: 'name containerPort protocol', harmless: 'hostPort hostIP' });

export const podReader: KindReader = {
  kind: 'Pod',
  apiVersions: ['v1'],
  read(root, meta) {
    root.check(podTable);
    const spec = root.map('spec', specTable);
    const ports: ContainerPort[] = [];
    for (const container of spec?.maps('containers', containerTable) ?? []) readPorts(container, ports);
    for (const container of spec?.maps('initContainers', containerTable) ?? []) {
      // An init container that restarts is a sidecar: it runs, and serves, beside the others.
      const sidecar: ContainerPort[] = [];
      readPorts(container, sidecar);
      if (container.string('restartPolicy') === 'Always') ports.push(...sidecar);
    }
    const { namespace, name, labels, origin } = meta;
    const status = readStatus(root);
    return {
      kind: 'Pod',
      namespace,
      name,
      origin,
      labels,
      dataplaneMode: dataplaneMode(labels),
      owner: readOwner(meta),
      serviceAccount: spec?.string('serviceAccountName') || 'default',
      hostNetwork: spec?.boolean('hostNetwork') === true,
      node: spec?.string('nodeName') ?? '',
      locality: localityOf(labels),
      netns: readNetns(meta),
      addresses: status.addresses,
      ready: status.ready && !(meta.fields?.has('deletionTimestamp') ?? false),
      finished: status.finished,
      ports,
      ...readKubelet(meta),
    };
  },
};

function readPorts(container: Fields, ports: ContainerPort[]): void {
  for (const port of container.maps('ports', portTable)) {
    const name = port.string('name');
    const number = port.port('containerPort');
    const protocol = port.oneOf('protocol', ['TCP', 'UDP', 'SCTP']) || 'TCP';
    if (name === '') continue;
    const problem = portNameProblem(name);
    if (problem !== '') port.error('KM1009', ['name'], problem);
    if (protocol !== 'SCTP') ports.push({ name, port: number, protocol: protocol as Protocol });
  }
}

function readNetns(meta: Metadata): string {
  const annotations = meta.fields?.map('annotations', null);
  const netns = annotations?.string('kmesh.net/netns') ?? '';
  if (netns.includes('\0') || netns === '.' || netns === '..') {
    annotations?.error('KM1009', ['kmesh.net/netns'], 'must be a name below /run/netns or a path');
  }
  return netns;
}

/** Only an API server gives uids. */
function readKubelet({ fields }: Metadata): Pick<PodObject, 'kubelet'> {
  const uid = fields?.string('uid') ?? '';
  if (uid === '') return {};
  const annotations = fields?.map('annotations', null);
  const redirection = annotations?.string('kmesh.net/redirection') === 'enabled';
  // A static pod runs under the hash of its file; what the API server has is its mirror.
  const runtimeUid = annotations?.string('kubernetes.io/config.hash') || uid;
  return { kubelet: { uid, runtimeUid, redirection } };
}

/**
 * The owner's name, the Deployment's where the owner is a ReplicaSet: a Deployment calls its ReplicaSets NAME-HASH, and the
 * pod's label pod-template-hash says what HASH is.
 */
function readOwner({ name, labels, fields }: Metadata): string {
  const owner = fields?.maps('ownerReferences', null)[0];
  const ownerName = owner?.string('name') ?? '';
  if (ownerName === '') return name;
  const suffix = `-${labels['pod-template-hash'] ?? ''}`;
  const deployed = owner?.string('kind') === 'ReplicaSet' && suffix.length > 1 && ownerName.endsWith(suffix);
  return deployed ? ownerName.slice(0, -suffix.length) : ownerName;
}

/**
 * A Pod without a status is one that a person wrote: it is ready. So is one with a status but no list of conditions, unless
 * its phase says otherwise; the kubelet always writes the list.
 */
function readStatus(root: Fields): { addresses: string[]; ready: boolean; finished: boolean } {
  const status = root.map('status', null);
  if (status === null) return { addresses: [], ready: true, finished: false };
  const addresses: string[] = [];
  const add = (at: Fields, name: string) => {
    const text = at.string(name);
    if (text === '') return;
    const read = readAddress(text);
    if ('problem' in read) at.error('KM1009', [name], read.problem);
    else if (!addresses.includes(read.address)) addresses.push(read.address);
  };
  for (const item of status.maps('podIPs', null)) add(item, 'ip');
  add(status, 'podIP');
  const phase = status.oneOf('phase', ['Pending', 'Running', 'Succeeded', 'Failed', 'Unknown']);
  const finished = phase === 'Succeeded' || phase === 'Failed';
  if (status.raw('conditions') === null) return { addresses, ready: phase === '' || phase === 'Running', finished };
  const ready = status
    .maps('conditions', null)
    .some((condition) => condition.string('type') === 'Ready' && condition.string('status') === 'True');
  return { addresses, ready: ready && !finished, finished };
}
