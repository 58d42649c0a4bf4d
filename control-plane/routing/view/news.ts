import type { Config } from '#core/contract/event.ts';
import type { LatencyMapContent } from '#core/contract/latency.ts';
import type { NodeStanding } from '#core/contract/standing.ts';
import type { RouterView } from './view.ts';

/** What a view goes by; threads are told of it so that all have the same. */
export type News =
  | { readonly type: 'config'; readonly config: Config }
  /** The checks have these edges down, and no others. */
  | { readonly type: 'checked'; readonly down: readonly string[] }
  /** Measured round trips. */
  | { readonly type: 'latencies'; readonly map: Pick<LatencyMapContent, 'entries'> }
  /** How the nodes stand; `undefined`: the control plane says nothing. */
  | { readonly type: 'standings'; readonly nodes: readonly NodeStanding[] | undefined };

export function heed(view: RouterView, news: News): void {
  switch (news.type) {
    case 'config':
      return view.configure(news.config);
    case 'checked':
      return view.checked(news.down);
    case 'latencies':
      return view.measured(news.map);
    case 'standings':
      return news.nodes === undefined ? view.refresh() : view.heard(news.nodes);
  }
}
