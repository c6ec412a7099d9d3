/**
 * Child processes on the hot path: posix_spawn(3), which does not copy the engine's page tables (0.3 ms against the
 * 2 ms of node:child_process), with exit seen through a pidfd.
 */
export interface SpawnOptions {
  /** Absolute path. */
  path: string;
  /** argv, argv[0] included. */
  argv: readonly string[];
  env?: Readonly<Record<string, string>>;
  cwd?: string;
  /**
   * Descriptors of the child by number: a descriptor of ours, or 'null' for /dev/null. 0, 1 and 2 default to 'null'.
   * All others of ours are closed in the child. The caller keeps, and closes, its own descriptors.
   */
  fds?: Readonly<Record<number, number | 'null'>>;
  /** Starts the child as a session leader. */
  newSession?: boolean;
}

export interface ExitStatus {
  /** 0-255, or null when a signal ended it. */
  exitCode: number | null;
  /** Signal number, or null. */
  signal: number | null;
}

export interface SpawnedProcess {
  readonly pid: number;
  /** Resolves once, when the child has been reaped. */
  readonly exited: Promise<ExitStatus>;
  kill(signal: number): void;
}

export interface ProcessSpawner {
  /** @throws {SyscallError} when the program cannot be started (ENOENT, EACCES …). */
  spawn(options: SpawnOptions): SpawnedProcess;
  /** Runs to the end and collects output (at most 1 MiB each). Never throws for a non-zero exit. */
  run(
    options: Omit<SpawnOptions, 'fds'> & { stdin?: string | Uint8Array; signal?: AbortSignal },
  ): Promise<ExitStatus & { stdout: string; stderr: string }>;
  /** A pipe of two CLOEXEC descriptors: [read end, write end]. */
  pipe(): [number, number];
  /** Resolves when the process (need not be a child) is gone; at once when it is gone already. */
  waitForExit(pid: number, signal?: AbortSignal): Promise<void>;
  /** Processes that still run no longer keep this program alive; children are reaped while it goes on. Idempotent. */
  close(): void;
}

/**
 * A connected SOCK_SEQPACKET unix socket (conmon's attach socket), which net.Socket refuses by type.
 * Packets keep their borders. Reading stops while paused, so that the writer feels back-pressure.
 */
export interface PacketSocket {
  onPacket: (packet: Buffer) => void;
  /** Called once, at end of stream, on error (given) or after close(). */
  onClose: (error?: Error) => void;
  /** Resolves when the kernel has taken the packet; rejects when the socket is closed. */
  send(packet: Uint8Array): Promise<void>;
  /** shutdown(SHUT_WR): the other side reads end of file, packets still arrive here. */
  shutdownWrite(): void;
  pause(): void;
  resume(): void;
  close(): void;
}

/** A pipe's end or a pseudo terminal's master. Reading stops while paused, so that the writer feels back-pressure. */
export interface ByteStream {
  onData: (data: Buffer) => void;
  /** Called once, at end of stream, on error (given) or after close(). */
  onClose: (error?: Error) => void;
  /** Resolves when the kernel has taken all of it; rejects when the reader or this stream is closed. */
  write(data: Uint8Array): Promise<void>;
  /** Closes a pipe's write end once everything is written. A terminal stays open: it has no end of input. */
  endWrite(): void;
  pause(): void;
  resume(): void;
  /** Delivers what is in the kernel's buffer now, also when paused, without waiting for more. */
  drain(): void;
  close(): void;
}

/** A bound UDP socket of IPv4 of which many datagrams are read, and sent, by one system call. */
export interface DatagramSocket {
  /**
   * Nobody is told what becomes of it. What is sent while datagrams are being dealt with goes together with the others.
   * @param to a struct sockaddr_in, as it came
   */
  send(message: Uint8Array, to: Uint8Array): void;
  /** Idempotent. The descriptor is closed when this returns. */
  close(): void;
}

/** Waits on descriptors that node:net refuses, by libuv's uv_poll in the program's own event loop. */
export interface DescriptorWatcher {
  /** Connects to a SOCK_SEQPACKET unix socket; paths longer than sun_path are reached through /proc/self/fd. */
  connectPacket(path: string): PacketSocket;
  /** Takes over a descriptor; its file description becomes non-blocking. */
  openStream(fd: number, direction: 'read' | 'write' | 'both'): ByteStream;
  /**
   * Takes over a descriptor, which does not keep the program alive.
   * @param onMessage what it is given is overwritten when it returns; datagrams of more than 4 KiB are dropped
   */
  openDatagrams(fd: number, onMessage: (message: Buffer, from: Buffer) => void): DatagramSocket;
  /** A unix stream server socket on which each connection sends one descriptor (OCI console-socket protocol). */
  listenForDescriptor(path: string): { received: Promise<number>; close(): void };
  /** Calls back when readable (level-triggered, one call per wake-up) until removed. */
  watchReadable(fd: number, onReadable: () => void, options?: { keepsAlive?: boolean }): { remove(): void };
  /** Closes everything opened through it; pending watches are dropped. */
  close(): void;
}
