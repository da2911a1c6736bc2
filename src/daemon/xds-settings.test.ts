import assert from 'node:assert/strict';
import { test } from 'node:test';
import { xdsSettings } from './xds-settings.ts';

const options = { nodeName: 'node-1' };

test('without an address and a file there is nothing to ask', () => {
  assert.equal(xdsSettings(options, {}), null);
  assert.equal(xdsSettings(options, { XDS_ADDRESS: '' }), null);
});

test('15010 and http are plaintext, where no token goes; anything else is TLS', () => {
  const env = { AUTH_TOKEN: '/token', XDS_ROOT_CA: '/root.pem' };
  const server = (address: string) => xdsSettings({ ...options, meshController: address }, env)?.server;
  assert.deepEqual([server('127.0.0.1:15010')?.rootCa, server('127.0.0.1:15010')?.tokenFile], [null, null]);
  assert.deepEqual([server('http://istiod:80')?.rootCa, server('http://istiod:80')?.address], [null, 'istiod:80']);
  assert.deepEqual([server('istiod:15012')?.rootCa, server('istiod:15012')?.tokenFile], ['/root.pem', '/token']);
  assert.equal(server('https://[::1]:15010')?.rootCa, '/root.pem');
});

test('a flag comes before Kmesh’s variable, and that before ztunnel’s', () => {
  const env = { MESH_CONTROLLER: 'b:15010', XDS_ADDRESS: 'c:15010' };
  assert.equal(xdsSettings({ ...options, meshController: 'a:15010' }, env)?.server?.address, 'a:15010');
  assert.equal(xdsSettings(options, env)?.server?.address, 'b:15010');
  assert.equal(xdsSettings(options, { XDS_ADDRESS: 'c:15010' })?.server?.address, 'c:15010');
});

test('identity, headers and metadata', () => {
  const settings = xdsSettings(options, {
    ...{ XDS_ADDRESS: 'a:15010', POD_NAME: 'kmesh-x', POD_NAMESPACE: 'kmesh-system', INSTANCE_IP: '10.0.0.1' },
    ...{ ISTIO_META_CLUSTER_ID: 'c1', NETWORK: 'n1', 'XDS_HEADER_X-Team': 'a', ISTIO_METAJSON_LABELS: '{"a":"b"}' },
  });
  const { identity, server } = settings ?? {};
  assert.deepEqual(
    [identity?.podName, identity?.instanceIp, identity?.clusterId, identity?.network, identity?.nodeName],
    ['kmesh-x', '10.0.0.1', 'c1', 'n1', 'node-1'],
  );
  assert.deepEqual(identity?.metadata, { LABELS: { a: 'b' } });
  assert.deepEqual(server?.headers, [['x-team', 'a']]);
});

test('an address that is none, and metadata that is no JSON', () => {
  for (const address of ['istiod', 'istiod:0', 'istiod:99999', 'a b:1', 'ftp://a:1']) {
    assert.throws(() => xdsSettings({ ...options, meshController: address }, {}), { code: 'KM5014' }, address);
  }
  const env = { XDS_ADDRESS: 'a:15010', ISTIO_METAJSON_X: '{' };
  assert.throws(() => xdsSettings(options, env), { code: 'KM5015' });
});

test('LocalConfig by file or as a text', () => {
  assert.deepEqual(xdsSettings(options, { LOCAL_XDS_PATH: '/a.yaml' })?.local, { path: '/a.yaml' });
  assert.deepEqual(xdsSettings(options, { LOCAL_XDS: 'services: []' })?.local, { text: 'services: []' });
});
