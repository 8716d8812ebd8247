/** Records, files and devices against the model. */
import { Mismatch } from './content.js';
import { chainOf, type ModelLayer, type TreeModel } from './model.js';
import type { Survey, TreeAnswer } from './subject.js';

/** Which layer of the model is which container: found out once, and for ever. */
export class LayerIds {
  readonly #idOf = new Map<ModelLayer, string>();
  readonly #layerOf = new Map<string, ModelLayer>();
  deepest = 0;

  compare(what: string, top: ModelLayer, topId: string, survey: SurveyIndex): void {
    const chain = chainOf(top);
    this.deepest = Math.max(this.deepest, chain.length);
    let id: string | null = topId;
    for (const layer of chain) {
      const record: Survey['layers'][number] | undefined =
        id === null ? undefined : survey.layers.get(id);
      if (id === null || record === undefined)
        throw new Mismatch(`${what}: its stack is too short`);
      if (record.sizeBytes !== layer.sizeBytes) {
        throw new Mismatch(
          `${what}: layer ${id} has ${record.sizeBytes} bytes, expected ${layer.sizeBytes}`,
        );
      }
      if (this.#isOther(layer, id))
        throw new Mismatch(`${what}: layer ${id} is not the one it was`);
      this.#idOf.set(layer, id);
      this.#layerOf.set(id, layer);
      id = record.parentId;
    }
    if (id !== null) throw new Mismatch(`${what}: its stack is deeper than ${chain.length} layers`);
  }

  #isOther(layer: ModelLayer, id: string): boolean {
    return (this.#idOf.get(layer) ?? id) !== id || (this.#layerOf.get(id) ?? layer) !== layer;
  }
}

interface SurveyIndex {
  readonly layers: ReadonlyMap<string, Survey['layers'][number]>;
}

/** Throws unless names, sizes, stacks, files, attachments and gates are what the model says. */
export function compareSurvey(model: TreeModel, survey: Survey, ids: LayerIds): void {
  mustBeSame(
    'disks',
    [...model.disks.keys()],
    survey.disks.map(({ ref }) => ref),
  );
  const layers = new Map(survey.layers.map((layer) => [layer.id, layer]));
  for (const record of survey.disks) {
    const disk = model.get(record.ref);
    ids.compare(record.ref, disk.layer, record.topLayerId, { layers });
    if (record.sizeBytes !== disk.content.sizeBytes) {
      throw new Mismatch(
        `${record.ref} has ${record.sizeBytes} bytes, expected ${disk.content.sizeBytes}`,
      );
    }
  }
  if (survey.layers.length !== model.layers().size) {
    throw new Mismatch(`${survey.layers.length} layers, expected ${model.layers().size}`);
  }
  mustBeSame('container files', [...layers.keys()], survey.files);
  compareAttachments(model, survey);
}

function compareAttachments(model: TreeModel, survey: Survey): void {
  const expected = model.attached().map(({ name, attachment }) => {
    const gate = attachment.open ? 'open' : 'closed';
    return `${name} ${gate}${attachment.poisoned ? ' poisoned' : ''}`;
  });
  const seen = survey.devices.map(
    ({ ref, gate, poisoned }) => `${ref} ${gate}${poisoned ? ' poisoned' : ''}`,
  );
  mustBeSame('attachments', expected, seen);
}

function mustBeSame(what: string, expected: readonly string[], seen: readonly string[]): void {
  const [wanted, found] = [new Set(expected), new Set(seen)];
  const missing = expected.filter((one) => !found.has(one));
  const extra = seen.filter((one) => !wanted.has(one));
  if (missing.length + extra.length === 0 && wanted.size === seen.length) return;
  throw new Mismatch(
    `${what}: missing ${missing.join(', ') || 'none'}; too many ${extra.join(', ') || 'none'}`,
  );
}

/** What seek calls empty reads as zeros. */
export function compareSeek(
  content: { readonly sizeBytes: number; isZero(offset: number, end: number): boolean },
  offset: number,
  { seek }: TreeAnswer,
): void {
  const { data = content.sizeBytes, hole = content.sizeBytes } = seek ?? {};
  if (data < offset || hole < offset) throw new Mismatch(`seek from ${offset} went back`);
  if (!content.isZero(offset, data)) {
    throw new Mismatch(`there is data between ${offset} and ${data}, where seek found none`);
  }
  const sectorEnd = Math.min(Math.floor(hole / 4096 + 1) * 4096, content.sizeBytes);
  if (!content.isZero(hole, sectorEnd)) throw new Mismatch(`the hole at ${hole} holds data`);
}
