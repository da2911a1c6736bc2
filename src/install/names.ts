/** Where Kmesh is in a cluster unless a user says otherwise. */
export const defaultNamespace = 'kmesh-system';
/** Of the DaemonSet. */
export const defaultName = 'kmesh';
