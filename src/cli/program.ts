/** The name in usage and error texts. */
export const program = 'coracle';
/** Version of this client. */
export const clientVersion = '0.1.0';
