/**
 * The Gateway API's own conformance suite for meshes (MESH-HTTP), against Kmesh as its Helm chart installs it. With
 * KMESH_CONFORMANCE_REPORT=FILE the suite's report is kept there, as docs/conformance has it.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { load } from 'js-yaml';
import { Cluster, conformanceMissing, proxyMode } from '../lab/cluster/cluster.ts';

const suiteMs = 1_500_000;

/** What Kmesh claims: README.md says the same. */
const features = [
  ...['Mesh', 'HTTPRoute', 'HTTPRouteParentRefPort', 'HTTPRouteResponseHeaderModification'],
  ...['HTTPRoute303RedirectStatusCode', 'HTTPRoute307RedirectStatusCode', 'HTTPRoute308RedirectStatusCode'],
  ...['MeshConsumerRoute', 'MeshClusterIPMatching', 'MeshHTTPRouteRewritePath', 'MeshHTTPRouteSchemeRedirect'],
  ...['MeshHTTPRouteRedirectPort', 'MeshHTTPRouteRedirectPath', 'MeshHTTPRouteBackendRequestHeaderModification'],
  ...['MeshHTTPRouteQueryParamMatching', 'MeshHTTPRouteNamedRouteRule'],
];

interface Report {
  readonly profiles: readonly {
    readonly name: string;
    readonly core: {
      readonly result: string;
      readonly statistics: { readonly Passed: number; readonly Failed: number };
    };
    readonly extended?: {
      readonly result: string;
      readonly statistics: { readonly Passed: number; readonly Failed: number };
    };
  }[];
}

describe(`Gateway API conformance, kube-proxy ${proxyMode}`, { skip: conformanceMissing() }, () => {
  let cluster: Cluster;
  before(async () => {
    cluster = await Cluster.up();
    for (const name of ['echo-basic', 'echo-advanced']) await cluster.importImage(name);
    await cluster.installKmesh();
  });
  after(() => Cluster.end());

  test('MESH-HTTP passes, core and extended, and the tests of HTTPRoute features that are claimed', async (t) => {
    const { output, report } = await cluster.conformance(
      [
        ...['-conformance-profiles', 'MESH-HTTP', '-supported-features', features.join(',')],
        ...['-namespace-labels', 'istio.io/dataplane-mode=Kmesh', '-cleanup-base-resources=false'],
        ...['-organization', 'kmesh', '-project', 'kmesh', '-url', 'https://kmesh.net', '-version', 'v0.1.0'],
        ...['-contact', 'https://kmesh.net', '-mode', `kube-proxy-${proxyMode}`],
      ],
      suiteMs,
    );
    const results = [...output.matchAll(/^ {4}--- (PASS|FAIL|SKIP): TestConformance\/(\w+)/gm)].map(
      ([, how, name]) => ({
        how,
        name,
      }),
    );
    for (const { how, name } of results) t.diagnostic(`${how} ${name}`);
    const kept = process.env['KMESH_CONFORMANCE_REPORT'];
    if (kept !== undefined) writeFileSync(kept, report);
    const failed = results.filter(({ how }) => how === 'FAIL').map(({ name }) => name);
    assert.deepEqual(failed, [], output.slice(-20_000));
    const [profile] = (load(report) as Report).profiles;
    assert.equal(profile?.name, 'MESH-HTTP');
    assert.deepEqual([profile.core.result, profile.core.statistics.Passed], ['success', 7]);
    assert.deepEqual([profile.extended?.result, profile.extended?.statistics.Passed], ['success', 7]);
    for (const name of ['303', '307', '308'].map((code) => `MeshHTTPRoute${code}Redirect`)) {
      assert.ok(
        results.some((one) => one.how === 'PASS' && one.name === name),
        `${name} was not run`,
      );
    }
  });
});
