/**
 * A disk as numbered slots of 4096 bytes, each filled with the sequence number of its last write:
 * after a crash every slot must show a number from the last acknowledged to the last issued one.
 */
import { open } from 'node:fs/promises';

export const slotBytes = 4096;

export interface SlotHistory {
  /** The highest number known durable, and the highest that was ever issued, per slot. */
  readonly acked: number[];
  readonly issued: number[];
}

export function newHistory(slots: number): SlotHistory {
  return { acked: new Array<number>(slots).fill(0), issued: new Array<number>(slots).fill(0) };
}

export function copyHistory(history: SlotHistory): SlotHistory {
  return { acked: [...history.acked], issued: [...history.issued] };
}

export function fillSlot(slot: Buffer, sequence: number): void {
  for (let offset = 0; offset < slotBytes; offset += 8) slot.writeDoubleLE(sequence, offset);
}

/** Every slot of the file at `path` that lost something or shows what was never written. */
export async function findDamage(
  path: string,
  from: SlotHistory,
  to: SlotHistory,
): Promise<string[]> {
  const damage: string[] = [];
  const file = await open(path, 'r');
  try {
    const slot = Buffer.alloc(slotBytes);
    for (const [index, acked] of from.acked.entries()) {
      await file.read(slot, 0, slotBytes, index * slotBytes);
      const sequence = slot.readDoubleLE(0);
      const issued = to.issued[index] ?? 0;
      const expected = Buffer.alloc(slotBytes);
      fillSlot(expected, sequence);
      if (!slot.equals(expected)) damage.push(`slot ${String(index)} is torn or garbage`);
      else if (sequence < acked || sequence > issued) {
        damage.push(
          `slot ${String(index)} shows ${String(sequence)}, not ${String(acked)}…${String(issued)}`,
        );
      }
    }
  } finally {
    await file.close();
  }
  return damage;
}
