import { table } from '../output.ts';
import { type RunningNetwork, UP_ZONE } from './network.ts';
import { SITE_NAME } from './site.ts';

/** What `up` says once everything serves: who is where, and what to try. */
export function summary(network: RunningNetwork, dir: string, caFile?: string): string {
  const { edges, midTiers, origins, routers, controlPlanes } = network;
  const rows = [...edges, ...midTiers, ...origins, ...routers].map((node) => [
    node.tier,
    node.name,
    node.location.name,
    node.url,
    node.adminUrl,
    node.pid,
  ]);
  const lines = [
    table(
      ['tier', 'name', 'location', 'url', 'admin', 'pid'],
      [
        ...rows,
        ...controlPlanes.map(({ name, url, adminUrl, pid }) => [
          'control-plane',
          name,
          '-',
          url,
          adminUrl,
          pid,
        ]),
      ],
    ),
    '',
    ...[...curlLines(network), ...tlsLines(network, caFile), ...digLines(network)].flatMap(
      (line, index) => (index === 0 ? ['Try:', line] : [line]),
    ),
    '',
    'Dashboard: `canopy dashboard` says where, with a link that signs in.',
    `State and logs are in ${dir}. Ctrl-C stops the network.`,
  ];
  return lines.join('\n');
}

/** By whom the certificate is to be believed has to be said: it is no authority that clients know. */
function tlsLines({ edges }: RunningNetwork, caFile: string | undefined): readonly string[] {
  if (caFile === undefined) return [];
  return edges.flatMap(({ tlsUrl }) =>
    tlsUrl === undefined ? [] : [`  curl -i --cacert ${caFile} ${tlsUrl}/`],
  );
}

function digLines({ routers: [router] }: RunningNetwork): readonly string[] {
  if (router === undefined) return [];
  const { host, port } = router.dns;
  return [`  dig @${host} -p ${port} ${SITE_NAME}.${UP_ZONE} +subnet=81.2.69.0/24`];
}

/** A miss, a hit, and another edge that shares the mid-tier's copy. */
function curlLines({ edges, site }: RunningNetwork): readonly string[] {
  const [first, second = first] = edges;
  if (first === undefined || second === undefined) return [];
  const host = site.hosts[0] ?? '*';
  const header = host === '*' ? '' : `-H 'Host: ${host.replace(/^\*/, 'www')}' `;
  return [
    `  curl -i ${header}${first.url}/`,
    `  curl -sI ${header}${first.url}/ | grep -i cache-status`,
    `  curl -sI ${header}${second.url}/ | grep -i cache-status`,
    `  curl -s ${first.adminUrl}/metrics | grep canopy_requests_total`,
  ];
}
