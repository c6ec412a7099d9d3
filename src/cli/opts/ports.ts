import { isIP } from 'node:net';
import type { PortBinding } from '../../spec/index.ts';
import { cut } from './csv.ts';

export interface PublishedPorts {
  exposed: Record<string, object>;
  bindings: Record<string, PortBinding[]>;
}

function parsePort(text: string): number {
  if (!/^\d+$/.test(text))
    throw new Error(`strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`);
  const port = Number(text);
  if (port > 65535) throw new Error(`strconv.ParseUint: parsing ${JSON.stringify(text)}: value out of range`);
  return port;
}

/** `8000` or `8000-8010`, both ends included. */
export function parsePortRange(text: string): [number, number] {
  if (text === '') throw new Error('empty string specified for ports');
  const [first = '', last] = text.split('-');
  const start = parsePort(first);
  const end = last === undefined ? start : parsePort(last);
  if (end < start) throw new Error(`invalid range specified for port: ${text}`);
  return [start, end];
}

/** Splits `80/udp`; the protocol is tcp without one. */
function splitProtocol(text: string): [string, string] {
  const [port, protocol] = cut(text, '/');
  return [port, protocol === undefined || protocol === '' ? 'tcp' : protocol];
}

/** `published=8080,target=80,protocol=tcp` as `8080:80/tcp`. */
function shortNotation(spec: string): string {
  if (!spec.includes('=')) return spec;
  const fields: Record<string, string> = { protocol: 'tcp' };
  for (const part of spec.split(',')) {
    const [key, value] = cut(part, '=');
    if (value === undefined || key === '') {
      throw new Error(`invalid publish opts format (should be name=value but got '${part}')`);
    }
    fields[key] = value;
  }
  return `${fields['published'] ?? ''}:${fields['target'] ?? ''}/${fields['protocol']}`;
}

/** `-p [[IP:]HOSTPORT:]PORT[/PROTOCOL]`, each port possibly a range. */
export function parsePublish(specs: readonly string[]): PublishedPorts {
  const result: PublishedPorts = { exposed: {}, bindings: {} };
  for (const spec of specs) publishOne(shortNotation(spec), result);
  return result;
}

function publishOne(spec: string, { exposed, bindings }: PublishedPorts): void {
  const parts = spec.split(':');
  const [containerPort, protocol] = splitProtocol(parts.pop() ?? '');
  const hostPort = parts.pop() ?? '';
  let ip = parts.join(':');
  if (ip.startsWith('[')) ip = ip.replace(/^\[|\]$/g, '');
  if (ip !== '' && isIP(ip) === 0) throw new Error(`invalid IP address: ${ip}`);
  if (containerPort === '') throw new Error(`no port specified: ${spec}<empty>`);
  let start: number, end: number;
  try {
    [start, end] = parsePortRange(containerPort);
  } catch (error) {
    throw new Error(`invalid containerPort: ${containerPort}`, { cause: error });
  }
  let hostStart = 0;
  let hostEnd = 0;
  if (hostPort !== '') {
    try {
      [hostStart, hostEnd] = parsePortRange(hostPort);
    } catch (error) {
      throw new Error(`invalid hostPort: ${hostPort}`, { cause: error });
    }
    // A host range for a single port means: any free one of these.
    if (end - start !== hostEnd - hostStart && start !== end) {
      throw new Error(
        `invalid ranges specified for container and host Ports: ${containerPort} and ${hostPort}`,
      );
    }
  }
  if (!['tcp', 'udp', 'sctp'].includes(protocol.toLowerCase())) throw new Error(`invalid proto: ${protocol}`);
  for (let i = 0; i <= end - start; i++) {
    const key = `${start + i}/${protocol.toLowerCase()}`;
    let host = hostPort === '' ? '' : String(hostStart + i);
    if (start === end && hostStart !== hostEnd) host = `${host}-${hostEnd}`;
    exposed[key] = {};
    (bindings[key] ??= []).push({ HostIp: ip, HostPort: host });
  }
}

/** `--expose 80`, `--expose 8000-8010/udp`. */
export function parseExpose(specs: readonly string[], exposed: Record<string, object>): void {
  for (const spec of specs) {
    if (spec.includes(':')) throw new Error(`invalid port format for --expose: ${spec}`);
    const [port, protocol] = splitProtocol(spec);
    let range: [number, number];
    try {
      range = parsePortRange(port);
    } catch (error) {
      throw new Error(`invalid range format for --expose: ${spec}, error: ${(error as Error).message}`, {
        cause: error,
      });
    }
    for (let i = range[0]; i <= range[1]; i++) exposed[`${i}/${protocol}`] ??= {};
  }
}
