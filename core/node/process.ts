/** What every node process is started with, whatever its tier. */
export interface NodeOptions {
  readonly name: string;
  /** Replicas of the control plane, tried in order. */
  readonly controlPlaneUrls: readonly string[];
  /** The node's own secret, given out when the node was added. */
  readonly credential: string;
  /** Authorities (PEM) that the control plane's certificate is checked by, in place of those of the system. */
  readonly controlPlaneCa?: string;
  /** Where the node keeps its last good config and its data; made if missing. */
  readonly dir: string;
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** Where `/metrics` and `/healthz` are served. */
  readonly admin: { readonly host: string; readonly port: number };
}

/** A node that serves. */
export interface RunningNode {
  /** Base URL of what it listens on. */
  readonly url: string;
  /** The same for TLS, where it serves that. */
  readonly tlsUrl?: string;
  /** Base URL of `/metrics` and `/healthz`. */
  readonly adminUrl: string;
  /** Opens its access log anew, where it has one. */
  readonly reopenLog?: (() => Promise<void>) | undefined;
  /** Stops accepting, finishes what is under way up to a limit, then ends. */
  close(): Promise<void>;
}
