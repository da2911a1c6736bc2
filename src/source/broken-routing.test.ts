import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { serviceText, setUp } from './testing.ts';

const fixtures = join(import.meta.dirname, 'broken', 'routing');

/** Every file of `broken/routing/`, and all problems that it gives beside a Service `good`, to the letter. */
const expected: Readonly<Record<string, readonly string[]>> = {
  'consistent-hash': [
    'KM1011 DestinationRule shop/good consistent-hash.yaml:11 spec.trafficPolicy.loadBalancer.consistentHash.httpCookie.ttl: not supported: the mesh sets no cookie, it only reads one',
    'KM1011 DestinationRule shop/good consistent-hash.yaml:11 spec.trafficPolicy.loadBalancer.consistentHash.httpCookie.path: not supported: the mesh sets no cookie, it only reads one',
    'KM1014 DestinationRule shop/good consistent-hash.yaml:12 spec.trafficPolicy.loadBalancer.consistentHash.maglev.tableSize: has no effect: the table is as large as the endpoints need',
    'KM1011 DestinationRule shop/good consistent-hash.yaml:13 spec.trafficPolicy.loadBalancer.consistentHash.minimumRingSize: not supported: the hash is Maglev, leave it out',
    'KM1009 DestinationRule shop/good consistent-hash.yaml:18 spec.trafficPolicy.portLevelSettings[0].loadBalancer.consistentHash: cannot stand beside simple',
    'KM1009 DestinationRule shop/good consistent-hash.yaml:18 spec.trafficPolicy.portLevelSettings[0].loadBalancer.consistentHash: takes only one of httpHeaderName, httpCookie and useSourceIp',
    'KM1011 DestinationRule shop/good consistent-hash.yaml:21 spec.trafficPolicy.portLevelSettings[0].loadBalancer.consistentHash.ringHash: not supported: the hash is Maglev, leave it out',
    'KM1010 DestinationRule shop/good consistent-hash.yaml:24 spec.trafficPolicy.portLevelSettings[1].loadBalancer.consistentHash: needs one of httpHeaderName, httpCookie and useSourceIp',
    'KM1011 DestinationRule shop/good consistent-hash.yaml:25 spec.trafficPolicy.portLevelSettings[1].loadBalancer.consistentHash.httpQueryParameterName: not supported: hash a header, a cookie or the source address',
  ],
  'destination-rule': [
    'KM1009 DestinationRule shop/good destination-rule.yaml:7 metadata.annotations["kmesh.net/balance-per"]: must be connection or request, not "packet"',
    'KM1011 DestinationRule shop/good destination-rule.yaml:10 spec.workloadSelector: not supported: a rule holds for every client',
    'KM1011 DestinationRule shop/good destination-rule.yaml:14 spec.trafficPolicy.loadBalancer.simple: PASSTHROUGH is not supported: a service always has its endpoints',
    'KM1011 DestinationRule shop/good destination-rule.yaml:15 spec.trafficPolicy.loadBalancer.localityLbSetting.failoverPriority: not supported: endpoints are alike wherever they are',
    'KM1011 DestinationRule shop/good destination-rule.yaml:15 spec.trafficPolicy.loadBalancer.localityLbSetting.enabled: only false is supported: endpoints are alike wherever they are',
    'KM1011 DestinationRule shop/good destination-rule.yaml:16 spec.trafficPolicy.loadBalancer.warmup: not supported: a new endpoint gets its share at once',
    'KM1011 DestinationRule shop/good destination-rule.yaml:17 spec.trafficPolicy.outlierDetection: not supported: endpoints are not ejected; what the objects say of their health counts',
    'KM1011 DestinationRule shop/good destination-rule.yaml:19 spec.trafficPolicy.tls: not supported: the mesh does not encrypt',
    'KM1009 DestinationRule shop/good destination-rule.yaml:22 spec.trafficPolicy.connectionPool.tcp.connectTimeout: must be a duration such as 10s or 250ms, not "ten"',
    'KM1011 DestinationRule shop/good destination-rule.yaml:23 spec.trafficPolicy.connectionPool.tcp.maxConnections: not supported: connections are not limited',
    'KM1011 DestinationRule shop/good destination-rule.yaml:24 spec.trafficPolicy.connectionPool.http: not supported: HTTP requests and connections are not limited',
    'KM1011 DestinationRule shop/good destination-rule.yaml:27 spec.trafficPolicy.portLevelSettings[0].loadBalancer.simpel: unknown field: check its spelling',
    'KM1009 DestinationRule shop/good destination-rule.yaml:28 spec.trafficPolicy.portLevelSettings[1].port.number: 80 is there twice',
    'KM1011 DestinationRule shop/good destination-rule.yaml:29 spec.trafficPolicy.portLevelSettings[1].tls: not supported: the mesh does not encrypt',
    'KM1010 DestinationRule shop/good destination-rule.yaml:30 spec.trafficPolicy.portLevelSettings[2].port: is missing',
    'KM1009 DestinationRule shop/good destination-rule.yaml:34 spec.subsets[1].name: "v1" is there twice',
    'KM1011 DestinationRule shop/good destination-rule.yaml:36 spec.subsets[1].trafficPolicy.tunnel: not supported: connections are not tunnelled',
    'KM1010 DestinationRule shop/good destination-rule.yaml:37 spec.subsets[2].name: is missing',
    "KM1009 DestinationRule shop/good destination-rule.yaml:37 spec.subsets[2].labels.version: must be letters, digits, '-', '_' or '.', with a letter or digit at both ends: \"v 2\"",
  ],
  'virtual-service-lost': [
    'KM1014 VirtualService shop/routes virtual-service-lost.yaml:8 spec.exportTo: has no effect: the routes hold for every client',
    'KM1014 VirtualService shop/ingress virtual-service-lost.yaml:43 spec.gateways: without the gateway mesh it does not concern the mesh, and is passed over',
    'KM2009 VirtualService shop/routes virtual-service-lost.yaml:7 spec.hosts[1]: there is no service nowhere.shop.svc.cluster.local',
    'KM2010 VirtualService shop/routes virtual-service-lost.yaml:15 spec.http[0].route[0].destination.host: there is no service gone.shop.svc.cluster.local: its requests are answered with 503',
    'KM2010 VirtualService shop/routes virtual-service-lost.yaml:17 spec.http[0].route[1].destination.subset: no DestinationRule gives good.shop.svc.cluster.local a subset "v9": its requests are answered with 503',
    'KM2010 VirtualService shop/routes virtual-service-lost.yaml:19 spec.http[0].route[2].destination.port: good.shop.svc.cluster.local has no TCP port 99: its requests are answered with 503',
    'KM2009 VirtualService shop/routes virtual-service-lost.yaml:22 spec.tcp[0]: no TCP port of good.shop.svc.cluster.local is left for it',
    'KM2010 VirtualService shop/routes virtual-service-lost.yaml:23 spec.tcp[0].route[0].destination.host: there is no service gone.shop.svc.cluster.local: it gets no connections',
    'KM2008 VirtualService shop/second virtual-service-lost.yaml:31 spec.hosts[0]: VirtualService shop/routes (virtual-service-lost.yaml:1) is for good.shop.svc.cluster.local too, and is in force for it',
    'KM2009 VirtualService shop/plain virtual-service-lost.yaml:55 spec.http: no port of plain.shop.svc.cluster.local is for HTTP',
  ],
  'virtual-service-match': [
    'KM1011 VirtualService shop/routes virtual-service-match.yaml:10 spec.http[0].match[0].url: unknown field: check its spelling',
    'KM1010 VirtualService shop/routes virtual-service-match.yaml:11 spec.http[0].match[1].uri: needs one of exact, prefix and regex',
    'KM1009 VirtualService shop/routes virtual-service-match.yaml:12 spec.http[0].match[2].uri: takes only one of exact and prefix',
    'KM1011 VirtualService shop/routes virtual-service-match.yaml:13 spec.http[0].match[3].uri.suffix: unknown field: check its spelling',
    'KM1010 VirtualService shop/routes virtual-service-match.yaml:13 spec.http[0].match[3].uri: needs one of exact, prefix and regex',
    'KM1009 VirtualService shop/routes virtual-service-match.yaml:14 spec.http[0].match[4].uri.exact: must be a path without ? or #: "/a?b=c"',
    'KM1009 VirtualService shop/routes virtual-service-match.yaml:15 spec.http[0].match[5].uri.prefix: must be a string, not 5 (quote it)',
    'KM1011 VirtualService shop/routes virtual-service-match.yaml:16 spec.http[0].match[6].method.prefix: not supported: only exact methods are',
    'KM1009 VirtualService shop/routes virtual-service-match.yaml:17 spec.http[0].match[7].method: must be a map, not "GET"',
    'KM1011 VirtualService shop/routes virtual-service-match.yaml:18 spec.http[0].match[8].scheme: not supported: every request that can be routed has the scheme http',
    'KM1009 VirtualService shop/routes virtual-service-match.yaml:20 spec.http[0].match[9].headers[":path"]: pseudo-headers are not supported here: ":path"',
    'KM1009 VirtualService shop/routes virtual-service-match.yaml:21 spec.http[0].match[9].headers.x-user: takes only one of exact and regex',
    'KM1009 VirtualService shop/routes virtual-service-match.yaml:22 spec.http[0].match[9].headers.x-other: must be a map, not "text"',
    "KM1009 VirtualService shop/routes virtual-service-match.yaml:23 spec.http[0].match[10].sourceLabels[\"bad key\"]: bad label key: the name must be 1 to 63 letters, digits, '-', '_' or '.', with a letter or digit at both ends",
    'KM1009 VirtualService shop/routes virtual-service-match.yaml:24 spec.http[0].match[11].port: must be a number from 1 to 65535, not 70000',
    'KM1009 VirtualService shop/routes virtual-service-match.yaml:25 spec.http[0].match[12].ignoreUriCase: must be true or false, not "yes"',
    'KM1011 VirtualService shop/routes virtual-service-match.yaml:30 spec.tcp[0].match[0].sourceLabels: not supported: layer 4 routes hold for every client',
    'KM1011 VirtualService shop/routes virtual-service-match.yaml:31 spec.tcp[0].match[0].sourceNamespace: not supported: layer 4 routes hold for every client',
    'KM1011 VirtualService shop/routes virtual-service-match.yaml:32 spec.tcp[0].match[0].destinationSubnets: not supported: a service is known by its own addresses',
    'KM1009 VirtualService shop/routes virtual-service-match.yaml:35 spec.tcp[0].route[0].headers: TCP has no headers',
    'KM1010 VirtualService shop/routes virtual-service-match.yaml:36 spec.tcp[1].route: needs a destination',
  ],
  'virtual-service': [
    'KM1009 VirtualService shop/routes virtual-service.yaml:7 spec.hosts[1]: "good" is there twice',
    'KM1009 VirtualService shop/routes virtual-service.yaml:7 spec.hosts[2]: must name a host; * alone is not supported: "*"',
    "KM1009 VirtualService shop/routes virtual-service.yaml:7 spec.hosts[3]: must be lower-case letters, digits, '-' and '.', with a letter or digit at both ends of every part: \"bad_host\"",
    'KM1011 VirtualService shop/routes virtual-service.yaml:9 spec.http[0].timeout: not supported: requests have no timeouts',
    'KM1011 VirtualService shop/routes virtual-service.yaml:10 spec.http[0].retries.retryOn: write connect-failure: the default also retries on status 503, which is not supported',
    'KM1011 VirtualService shop/routes virtual-service.yaml:11 spec.http[0].mirror: not supported: requests are not mirrored',
    'KM1011 VirtualService shop/routes virtual-service.yaml:12 spec.http[0].mirrors: not supported: requests are not mirrored',
    'KM1011 VirtualService shop/routes virtual-service.yaml:13 spec.http[0].mirrorPercentage: not supported: requests are not mirrored',
    'KM1011 VirtualService shop/routes virtual-service.yaml:14 spec.http[0].corsPolicy: not supported: headers of responses cannot be changed',
    'KM1011 VirtualService shop/routes virtual-service.yaml:16 spec.http[0].fault.delay: not supported: requests cannot be delayed',
    'KM1011 VirtualService shop/routes virtual-service.yaml:17 spec.http[0].fault.abort.grpcStatus: not supported: gRPC requests are not routed',
    'KM1010 VirtualService shop/routes virtual-service.yaml:17 spec.http[0].fault.abort.httpStatus: is missing',
    'KM1009 VirtualService shop/routes virtual-service.yaml:17 spec.http[0].fault.abort.percentage.value: must be a number from 0 to 100, not 101',
    'KM1011 VirtualService shop/routes virtual-service.yaml:19 spec.http[0].rewrite.uriRegexRewrite: not supported: rewrite a prefix or the whole path',
    'KM1011 VirtualService shop/routes virtual-service.yaml:21 spec.http[0].headers.response: not supported: headers of responses cannot be changed',
    'KM1011 VirtualService shop/routes virtual-service.yaml:24 spec.http[1].delegate: not supported: write the routes here',
    'KM1011 VirtualService shop/routes virtual-service.yaml:25 spec.http[2].retries.perTryTimeout: not supported: requests have no timeouts; see connectTimeout of a DestinationRule',
    'KM1011 VirtualService shop/routes virtual-service.yaml:25 spec.http[2].retries.retryRemoteLocalities: not supported: endpoints are alike wherever they are',
    'KM1011 VirtualService shop/routes virtual-service.yaml:25 spec.http[2].retries.retryOn: 5xx is not supported: only connect-failure is, before anything was sent',
    'KM1009 VirtualService shop/routes virtual-service.yaml:26 spec.http[2].rewrite.authority: must be a host, or a host with a port, not "a b"',
    'KM1009 VirtualService shop/routes virtual-service.yaml:26 spec.http[2].rewrite.uri: must be a path without ? or #: "/a?b"',
    'KM1009 VirtualService shop/routes virtual-service.yaml:27 spec.http[2].fault.abort.httpStatus: must be a number from 200 to 599, not 99',
    'KM1010 VirtualService shop/routes virtual-service.yaml:27 spec.http[2].fault.abort.percentage: is missing',
    'KM1011 VirtualService shop/routes virtual-service.yaml:30 spec.http[2].headers.request.set.host: host cannot be changed here: use rewrite.authority',
    'KM1011 VirtualService shop/routes virtual-service.yaml:30 spec.http[2].headers.request.set.x-time: operators (%...%) are not supported; write % as %%: "%START_TIME%"',
    'KM1009 VirtualService shop/routes virtual-service.yaml:30 spec.http[2].headers.request.set["bad name"]: must be letters, digits and !#$%&\'*+-.^_`|~: "bad name"',
    'KM1011 VirtualService shop/routes virtual-service.yaml:31 spec.http[2].headers.request.add.content-length: content-length cannot be changed: it frames the message',
    'KM1009 VirtualService shop/routes virtual-service.yaml:31 spec.http[2].headers.request.add.x-lines: must not have line ends or zero bytes',
    'KM1011 VirtualService shop/routes virtual-service.yaml:32 spec.http[2].headers.request.remove[0]: connection cannot be changed: it frames the message',
    'KM1009 VirtualService shop/routes virtual-service.yaml:33 spec.http[2].route: the weights must not all be 0',
    "KM1009 VirtualService shop/routes virtual-service.yaml:34 spec.http[2].route[0].destination.subset: must be letters, digits, '-', '_' or '.', with a letter or digit at both ends: \"v 1\"",
    'KM1009 VirtualService shop/routes virtual-service.yaml:34 spec.http[2].route[0].destination.port.number: must be a number from 1 to 65535, not 0',
    'KM1010 VirtualService shop/routes virtual-service.yaml:36 spec.http[2].route[1].destination.host: is missing',
    'KM1009 VirtualService shop/routes virtual-service.yaml:38 spec.http[3].redirect.redirectCode: must be 301, 302, 303, 307 or 308, not 305',
    'KM1009 VirtualService shop/routes virtual-service.yaml:38 spec.http[3].redirect.uri: must be visible ASCII characters (encode others with %): "/a b"',
    'KM1009 VirtualService shop/routes virtual-service.yaml:38 spec.http[3].redirect.scheme: must be http or https, not "ftp"',
    'KM1009 VirtualService shop/routes virtual-service.yaml:38 spec.http[3].redirect.derivePort: cannot stand beside port',
    'KM1011 VirtualService shop/routes virtual-service.yaml:39 spec.http[3].rewrite: not supported beside redirect: nothing is forwarded',
    'KM1010 VirtualService shop/routes virtual-service.yaml:40 spec.http[4].redirect: needs one of uri, authority, scheme and port',
    'KM1009 VirtualService shop/routes virtual-service.yaml:40 spec.http[4].redirect: cannot stand beside route',
    'KM1011 VirtualService shop/routes virtual-service.yaml:43 spec.http[5].directResponse.body.bytes: not supported: only a text is',
    'KM1009 VirtualService shop/routes virtual-service.yaml:43 spec.http[5].directResponse.body: a response with status 204 has no body',
    'KM1011 VirtualService shop/routes virtual-service.yaml:44 spec.http[5].headers: not supported beside directResponse: nothing is forwarded',
    'KM1010 VirtualService shop/routes virtual-service.yaml:45 spec.http[6].route: needs one of route, redirect and directResponse',
    'KM1011 VirtualService shop/routes virtual-service.yaml:46 spec.http[7].rout: unknown field: check its spelling',
    'KM1010 VirtualService shop/routes virtual-service.yaml:46 spec.http[7].route: needs one of route, redirect and directResponse',
    'KM1011 VirtualService shop/routes virtual-service.yaml:47 spec.tls: not supported: TLS connections are not routed by SNI',
  ],
};

test('every broken file has its expectation', () => {
  const names = readdirSync(fixtures).map((name) => name.replace(/\.yaml\.txt$/, ''));
  assert.deepEqual(names.sort(), Object.keys(expected).sort());
});

for (const [name, lines] of Object.entries(expected)) {
  test(`broken/routing/${name}: the right lines, and another file is served all the same`, (t) => {
    const bytes = readFileSync(join(fixtures, `${name}.yaml.txt`));
    const { problems, model } = setUp(t, { [`${name}.yaml`]: bytes, 'good.yaml': serviceText('good', '10.96.0.1') });
    assert.deepEqual(problems(), lines);
    assert.ok(model.mesh.services.has('shop/good.shop.svc.cluster.local'));
  });
}
