/** Tables of any number of routes, a quarter of them regular expressions. */

/** YAML of a VirtualService's routes to one host; the last of them is for {@link lastPath} alone. */
export function routesYaml(count: number, host: string): string {
  const routes = Array.from({ length: count - 1 }, (_, i) => match(i));
  const last = `{uri: {exact: ${lastPath}}}`;
  return [...routes, last].map((one) => `- match: [${one}]\n  route: [{destination: {host: ${host}}}]`).join('\n');
}

/** Looks like the others, and none of them takes it. */
export const lastPath = '/shop/last/product/detail';

function match(i: number): string {
  if (i % 4 === 0) return `{uri: {regex: '/api/v${i % 3}/tenant-${i}/[a-z0-9-]+/items/\\d+'}}`;
  if (i % 4 === 1) return `{uri: {exact: /shop/${i}/product/detail}}`;
  if (i % 4 === 2) return `{uri: {prefix: /svc-${i}/static/}, method: {exact: GET}}`;
  return `{uri: {prefix: /legacy/${i}/}, headers: {x-version: {exact: v${i % 50}}}}`;
}
