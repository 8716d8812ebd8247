/** The schemas of `check`. */
import { Type } from '@sinclair/typebox';
import type { CheckRequest, CheckView } from './check-types.js';
import { diskKind, oneOf, schemaOf, strictObject } from './schemas.js';

export const checkRequest = schemaOf<CheckRequest>()(
  strictObject({
    read_data: Type.Optional(Type.Boolean()),
    repair: Type.Optional(Type.Boolean()),
  }),
);

const findingView = strictObject({
  kind: Type.String(),
  severity: oneOf('damage', 'note'),
  message: Type.String(),
  cure: Type.String(),
  layer: Type.Optional(Type.String()),
  container: Type.Optional(Type.String()),
  offset: Type.Optional(Type.Integer()),
  length: Type.Optional(Type.Integer()),
  repaired: Type.Boolean(),
});

const checkedLayerView = strictObject({
  id: Type.String(),
  container: Type.String(),
  size: Type.Integer(),
  visible: Type.Integer(),
  key: oneOf('right', 'wrong', 'not-checked'),
  findings: Type.Integer(),
});

export const checkView = schemaOf<CheckView>()(
  strictObject({
    name: Type.String(),
    kind: diskKind,
    clean: Type.Boolean(),
    key_unusable: Type.Optional(Type.String()),
    layers: Type.Array(checkedLayerView),
    findings: Type.Array(findingView),
    data: Type.Optional(strictObject({ read: Type.Integer(), failed: Type.Integer() })),
    remarks: Type.Array(Type.String()),
  }),
);
