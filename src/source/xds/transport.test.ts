import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { ServerCredentials } from '@grpc/grpc-js';
import { FakeControlPlane } from './testing.ts';
import { GrpcTransport } from './transport.ts';

const method = '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources';

describe('TLS and tokens', () => {
  const directory = mkdtempSync(join(tmpdir(), 'xds-tls-'));
  const path = (name: string): string => join(directory, name);
  let plane: FakeControlPlane;

  before(async () => {
    const openssl = (...args: string[]): void => {
      execFileSync('openssl', args, { cwd: directory, stdio: 'ignore' });
    };
    for (const name of ['ca', 'other']) {
      const subject = ['-subj', `/CN=${name}`, '-days', '2', '-nodes'];
      openssl(
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:prime256v1',
        ...subject,
        '-keyout',
        `${name}.key`,
        '-out',
        `${name}.pem`,
      );
    }
    openssl(
      'req',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:prime256v1',
      '-nodes',
      '-subj',
      '/CN=x',
      '-keyout',
      'server.key',
      '-out',
      'server.csr',
    );
    writeFileSync(path('san'), 'subjectAltName=DNS:istiod.istio-system.svc');
    openssl(
      'x509',
      '-req',
      '-in',
      'server.csr',
      '-CA',
      'ca.pem',
      '-CAkey',
      'ca.key',
      '-CAcreateserial',
      '-days',
      '2',
      '-extfile',
      'san',
      '-out',
      'server.pem',
    );
    const pair = { private_key: readFileSync(path('server.key')), cert_chain: readFileSync(path('server.pem')) };
    plane = await FakeControlPlane.start('127.0.0.1', 0, ServerCredentials.createSsl(null, [pair]));
    writeFileSync(path('token'), 'first\n');
  });
  after(() => {
    plane.close();
    rmSync(directory, { recursive: true });
  });

  const open = (rootCa: string, serverName: string | null) => {
    let stream: { close(): void } | null = null;
    const ended = new Promise<string>((resolve) => {
      const transport = new GrpcTransport({
        ...{ address: plane.address, rootCa, serverName, tokenFile: path('token'), clusterId: 'c1' },
        headers: [['x-more', 'yes']],
      });
      stream = transport.open(method, { message: () => undefined, drained: () => undefined, end: resolve });
    });
    return { ended, close: () => stream?.close() };
  };

  test('the server is known by its certificate; token, cluster and headers go with the stream; the token is read anew', async () => {
    const one = open(path('ca.pem'), 'istiod.istio-system.svc');
    const first = await plane.stream();
    assert.deepEqual(first.metadata.get('authorization'), ['Bearer first']);
    assert.deepEqual(first.metadata.get('clusterid'), ['c1']);
    assert.deepEqual(first.metadata.get('x-more'), ['yes']);
    one.close();
    writeFileSync(path('token'), 'second\n');
    const two = open(readFileSync(path('ca.pem'), 'utf8'), 'istiod.istio-system.svc');
    assert.deepEqual((await plane.stream()).metadata.get('authorization'), ['Bearer second']);
    two.close();
  });

  test('a certificate of another authority, or for another name, is refused', async () => {
    assert.match(await open(path('other.pem'), 'istiod.istio-system.svc').ended, /UNAVAILABLE: .*certificate/i);
    assert.match(
      await open(path('ca.pem'), 'elsewhere.example').ended,
      /UNAVAILABLE: .*(altnames|hostname|certificate)/i,
    );
  });
});
