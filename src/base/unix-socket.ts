/** @module What the kernel sets for Unix sockets. */

/** Longest path of a Unix socket that a client can name: sockaddr_un has 108 bytes, with the final NUL. */
export const MAX_SOCKET_PATH_BYTES = 107;
