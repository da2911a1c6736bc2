/** Where an API server is and how it is talked to. */

/** What proves who we are, asked for anew for each request, since tokens and certificates expire. */
export interface Credentials {
  readonly token: string | null;
  /** PEM. */
  readonly certificate: string | null;
  readonly key: string | null;
  /** Value of the header Authorization, when it is not a token. */
  readonly basic: string | null;
}

export interface ApiAccess {
  /** Without a slash at its end. */
  readonly server: string;
  /** PEM of the authorities to trust; null: those of Node. Read anew for each connection. */
  readonly authority: () => string | null;
  readonly insecure: boolean;
  /** Name that the server's certificate must have; null: its host. */
  readonly serverName: string | null;
  readonly credentials: () => Promise<Credentials>;
  /** The server did not take the credentials: forget what was remembered. */
  readonly rejected: () => void;
}

export const noCredentials: Credentials = { token: null, certificate: null, key: null, basic: null };
