import type { ByteStream, DatagramSocket, DescriptorWatcher, PacketSocket } from '../process.ts';
import { LinuxByteStream } from './byte-stream.ts';
import { LinuxDatagramSocket } from './datagram-socket.ts';
import { listenForDescriptor } from './descriptor-listener.ts';
import { LinuxPacketSocket } from './packet-socket.ts';
import { ReadinessWatch } from './readiness.ts';

/** DescriptorWatcher on the engine's own event loop: no thread of its own, nothing waits when nothing is watched. */
export class LibuvWatcher implements DescriptorWatcher {
  readonly #open = new Set<{ close(): void }>();

  connectPacket(path: string): PacketSocket {
    const socket = new LinuxPacketSocket(path, (self) => this.#open.delete(self));
    this.#open.add(socket);
    return socket;
  }

  openStream(fd: number, direction: 'read' | 'write' | 'both'): ByteStream {
    const stream = new LinuxByteStream(fd, direction, (self) => this.#open.delete(self));
    this.#open.add(stream);
    return stream;
  }

  openDatagrams(fd: number, onMessage: (message: Buffer, from: Buffer) => void): DatagramSocket {
    const socket = new LinuxDatagramSocket(fd, onMessage, (self) => this.#open.delete(self));
    this.#open.add(socket);
    return socket;
  }

  listenForDescriptor(path: string): { received: Promise<number>; close(): void } {
    const listener = listenForDescriptor(path);
    const entry = {
      close: (): void => {
        this.#open.delete(entry);
        listener.close();
      },
    };
    this.#open.add(entry);
    const forget = (): void => void this.#open.delete(entry);
    listener.received.then(forget, forget);
    return { received: listener.received, close: entry.close };
  }

  watchReadable(
    fd: number,
    onReadable: () => void,
    { keepsAlive = true }: { keepsAlive?: boolean } = {},
  ): { remove(): void } {
    const watch = new ReadinessWatch(fd, { readable: onReadable });
    if (!keepsAlive) watch.unref();
    watch.want(true, false);
    this.#open.add(watch);
    return {
      remove: () => {
        this.#open.delete(watch);
        watch.close();
      },
    };
  }

  close(): void {
    for (const entry of this.#open) entry.close();
    this.#open.clear();
  }
}
