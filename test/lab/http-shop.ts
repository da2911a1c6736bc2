/** The shop of the HTTP scenarios: one client, three servers of three versions, one service of both families. */
import { httpLoadCommand, type LoadCase } from './clients.ts';
import type { Host } from './host.ts';
import { destination, service, virtualService } from './http-mesh.ts';
import { Lab } from './lab.ts';
import { file, meshOf, namespace, pod, type TestMesh } from './mesh.ts';
import { startNginx } from './nginx.ts';
import { startWeb } from './servers.ts';

/** Names of the pods and of what they call themselves. */
export const colors = ['red', 'green', 'blue'] as const;
export type Color = (typeof colors)[number];

/** Addresses of the service, whose port 80 leads to servers/web-server.ts. */
export const shopAddresses = ['10.96.0.10', 'fd00:10:96::10'] as const;
/** The same pods, to nginx: for speed. Its answers are `NAME table=X-TABLE PATH`. */
export const fastAddresses = ['10.96.0.20', 'fd00:10:96::20'] as const;

const versions = ['v1', 'v2', 'v3'] as const;
const webPort = 8080;
export const fastPort = 8081;

const to = (host: string, version: string): string => `[{destination: {host: ${host}, subset: ${version}}}]`;

/** Four routes to three servers, by path and by header. */
const fourRoutes = (host: string): string =>
  virtualService(
    host,
    `
- match: [{headers: {x-user: {exact: jane}}}]
  route: ${to(host, 'v3')}
- match: [{uri: {prefix: /green}}]
  route: ${to(host, 'v2')}
- match: [{uri: {regex: '/[a-z]+/blue'}}]
  route: ${to(host, 'v3')}
- route: ${to(host, 'v1')}
`,
  );

/** A request for each of them. */
export const fourCases = (suffix = ''): readonly LoadCase[] => [
  { from: `red${suffix}`, path: '/', fields: ['host: fast'] },
  { from: `green${suffix}`, path: '/green/grass', fields: ['host: fast'] },
  { from: `blue${suffix}`, path: '/sky/blue', fields: ['host: fast', 'accept: */*'] },
  { from: `blue${suffix}`, path: '/green', fields: ['x-user: jane', 'host: fast'] },
];

export class Shop implements AsyncDisposable {
  readonly lab: Lab;
  readonly mesh: TestMesh;
  readonly client: Host;
  readonly servers: Readonly<Record<Color, Host>>;

  private constructor(lab: Lab, mesh: TestMesh, client: Host, servers: Readonly<Record<Color, Host>>) {
    this.lab = lab;
    this.mesh = mesh;
    this.client = client;
    this.servers = servers;
  }

  /** With a daemon that is ready. */
  static async create({ flags = [] }: { readonly flags?: readonly string[] } = {}): Promise<Shop> {
    const lab = await Lab.create();
    try {
      const client = await lab.pod('client');
      const servers = { red: await lab.pod('red'), green: await lab.pod('green'), blue: await lab.pod('blue') };
      const mesh = meshOf(lab);
      for (const color of colors) {
        await startWeb(servers[color], { port: webPort });
        await startNginx(servers[color], { port: fastPort, extra: ' table=$http_x_table $request_uri' });
      }
      const selector = { app: 'shop' };
      mesh.write(
        'services.yaml',
        file(
          service('shop', { addresses: shopAddresses, selector, targetPort: webPort }),
          service('fast', { addresses: fastAddresses, selector, targetPort: fastPort }),
          destination('fast', versions),
        ),
      );
      mesh.write('routes.yaml', fourRoutes('fast'));
      const shop = new Shop(lab, mesh, client, servers);
      shop.hide(null);
      await mesh.start(flags);
      await mesh.settled();
      return shop;
    } catch (error) {
      await lab.close();
      throw error;
    }
  }

  get all(): readonly Host[] {
    return colors.map((color) => this.servers[color]);
  }

  /** Writes the pods, one server's left out: its labels are not those of the shop any more. */
  hide(hidden: Color | null): void {
    const servers = colors.map((color, i) => {
      const app = color === hidden ? 'hidden' : 'shop';
      return pod(this.servers[color], { app, version: versions[i] ?? '' });
    });
    this.mesh.write('pods.yaml', file(namespace('shop', true), pod(this.client), ...servers));
  }

  /** A load over the four routes, to `spawn`. */
  load(family: 4 | 6, flags: readonly string[]): readonly string[] {
    return httpLoadCommand(fastAddresses[family === 4 ? 0 : 1], 80, fourCases(' table='), flags);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.lab.close();
  }
}
