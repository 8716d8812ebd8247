/** Bare layer files and devices over them, for tests that need no LUKS2 header. */
import { randomUUID } from 'node:crypto';
import { closeSync, ftruncateSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { addon, type Device, type DeviceLayer } from '../../dist/device/index.js';
import type { Teardown } from './temp.js';

export const KIB = 1024;
export const MIB = 1024 * 1024;
export const SECTOR_BYTES = 4096;
/** Where a container's data area starts. */
export const DATA_OFFSET_BYTES = MIB;

/** A sparse file of the length a container has, with a key of its own. */
export function newLayer(directory: string, sizeBytes: number): DeviceLayer {
  const path = join(directory, `${randomUUID()}.luks`);
  const file = openSync(path, 'wx', 0o600);
  ftruncateSync(file, DATA_OFFSET_BYTES + sizeBytes);
  closeSync(file);
  return { path, sizeBytes, dataKey: addon.generateDataKey(), preallocated: false };
}

/** Opens the layers, top first, and closes the device at the end of the test. */
export async function openStack(
  t: Teardown,
  layers: readonly DeviceLayer[],
  writable = true,
): Promise<Device> {
  const device = await addon.openDevice({ layers, writable });
  t.teardown(() => device.close().catch(() => undefined));
  return device;
}

export async function readAt(
  device: Device,
  offsetBytes: number,
  lengthBytes: number,
): Promise<Buffer> {
  const buffer = Buffer.alloc(lengthBytes, 0xa5);
  await device.read(buffer, offsetBytes);
  return buffer;
}

/** Freezes the device's top and puts a new layer of `sizeBytes` over it. */
export async function pushLayer(
  device: Device,
  directory: string,
  sizeBytes = device.sizeBytes,
): Promise<DeviceLayer> {
  const layer = newLayer(directory, sizeBytes);
  await device.hold();
  try {
    await device.stageTop(layer);
    device.swapTop();
  } finally {
    device.resume();
  }
  return layer;
}

/** Bytes that no two calls with different seeds share; never all zeros in a sector. */
export function pattern(lengthBytes: number, seed: number): Buffer {
  const buffer = Buffer.alloc(lengthBytes);
  for (let i = 0; i < lengthBytes; i += 1) buffer[i] = 1 + ((i * 31 + (i >> 8) + seed * 7) % 255);
  return buffer;
}

export const isZero = (bytes: Buffer): boolean => bytes.equals(Buffer.alloc(bytes.length));
