/**
 * An image as one file: an OCI image layout with the manifest that `docker save` writes beside it, so that `ctr images import`,
 * `podman load` and `docker load` all take it.
 */
import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { tar } from './tar.ts';
import { Tree } from './tree.ts';

export interface ImageSpec {
  /** `REGISTRY/NAME:TAG` */
  readonly name: string;
  /** The lowest first; what changes least belongs there. */
  readonly layers: readonly Tree[];
  /** RFC 3339 */
  readonly created: string;
  readonly user: string;
  readonly env: readonly string[];
  readonly entrypoint: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
}

export interface Archive {
  readonly bytes: Buffer;
  /** Of the image's manifest: what a registry would call it by. */
  readonly digest: string;
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const mediaType = {
  index: 'application/vnd.oci.image.index.v1+json',
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar+gzip',
} as const;

export function archive(spec: ImageSpec): Archive {
  const out = new Tree();
  const blob = (type: string, bytes: Buffer) => {
    const digest = sha256(bytes);
    out.file(`/blobs/sha256/${digest}`, bytes);
    return { mediaType: type, digest: `sha256:${digest}`, size: bytes.length };
  };
  const json = (type: string, value: unknown) => blob(type, Buffer.from(JSON.stringify(value)));
  const tars = spec.layers.map((layer) => tar(layer.entries));
  const config = json(mediaType.config, {
    created: spec.created,
    architecture: 'amd64',
    os: 'linux',
    config: { User: spec.user, Env: spec.env, Entrypoint: spec.entrypoint, WorkingDir: '/', Labels: spec.labels },
    rootfs: { type: 'layers', diff_ids: tars.map((bytes) => `sha256:${sha256(bytes)}`) },
    history: tars.map(() => ({ created: spec.created, created_by: 'make image' })),
  });
  const layers = tars.map((bytes) => blob(mediaType.layer, gzipSync(bytes, { level: 6 })));
  const manifest = json(mediaType.manifest, { schemaVersion: 2, mediaType: mediaType.manifest, config, layers });
  const tag = spec.name.slice(spec.name.lastIndexOf(':') + 1);
  const annotations = { 'io.containerd.image.name': spec.name, 'org.opencontainers.image.ref.name': tag };
  const index = { schemaVersion: 2, mediaType: mediaType.index, manifests: [{ ...manifest, annotations }] };
  const path = ({ digest }: { readonly digest: string }): string => `blobs/${digest.replace(':', '/')}`;
  const saved = [{ Config: path(config), RepoTags: [spec.name], Layers: layers.map(path) }];
  out.file('/oci-layout', JSON.stringify({ imageLayoutVersion: '1.0.0' }));
  out.file('/index.json', JSON.stringify(index));
  out.file('/manifest.json', JSON.stringify(saved));
  return { bytes: tar(out.entries), digest: manifest.digest };
}
