/** The schemas of requests and replies. The compiler holds each to its type in types.ts. */
import { Type, type Static, type TObject, type TProperties, type TSchema } from '@sinclair/typebox';
import type {
  AttachmentView,
  AuditView,
  Created,
  DeleteView,
  DiskChangeView,
  DiskExport,
  DiskView,
  ErrorView,
  ExportView,
  ImageCopy,
  ImageCreate,
  ImpactView,
  KeyChangeView,
  KeyView,
  StatusView,
  VolumeCreate,
  VolumeResize,
} from './types.js';

type Same<Left, Right> = [Left] extends [Right] ? ([Right] extends [Left] ? true : false) : false;

/** Gives the schema back; compiles only when what it describes is `View`, field by field. */
export function schemaOf<View>() {
  return <Schema extends TSchema>(
    schema: Schema &
      (Same<Static<Schema>, View> extends true ? unknown : 'the schema differs from its type'),
  ): Schema => schema;
}

/** An object of exactly these fields: an unknown one is refused, never dropped in silence. */
export function strictObject<Fields extends TProperties>(fields: Fields): TObject<Fields> {
  return Type.Object(fields, { additionalProperties: false });
}

export function oneOf<const Values extends readonly string[]>(...values: Values) {
  return Type.Unsafe<Values[number]>({ type: 'string', enum: values });
}

// Room for every name and path there is; the rules of names are those of the use cases.
export const nameText = Type.String({ maxLength: 1024 });
export const longText = Type.String({ maxLength: 4096 });
export const absolutePath = Type.String({
  pattern: '^/',
  maxLength: 4096,
  description: 'an absolute path',
});
export const onKeyLoss = oneOf('deny', 'until-detach', 'suspend');
const imageFormat = oneOf('raw', 'qcow2', 'vmdk', 'vhd', 'vhdx', 'vdi');
export const diskKind = oneOf('volume', 'image', 'snapshot');
// The domain of every size is that of exact integers in JSON; the use cases narrow it.
const wholeNumber = Type.Integer({
  minimum: Number.MIN_SAFE_INTEGER,
  maximum: Number.MAX_SAFE_INTEGER,
  description: 'a whole number',
});

export const keyView = schemaOf<KeyView>()(
  strictObject({
    id: Type.String(),
    name: Type.String(),
    description: Type.String(),
    state: oneOf('pending-import', 'enabled', 'disabled', 'pending-deletion'),
    key_state: Type.String(),
    default: Type.Boolean(),
    origin: oneOf('kms', 'external'),
    spec: oneOf('AES_256'),
    version: Type.Integer(),
    created_at: Type.String(),
    deletion_at: Type.Optional(Type.String()),
    deletion_days_left: Type.Optional(Type.Integer()),
  }),
);

const diskChangeView = schemaOf<DiskChangeView>()(
  strictObject({
    disk: Type.String(),
    kind: oneOf('volume', 'image', 'snapshot', 'operation'),
    outcome: oneOf(
      'closed',
      'closed-unflushed',
      'kept-until-detach',
      'reopened',
      'reopen-failed',
      'lost',
    ),
    took_ms: Type.Number(),
    detail: Type.Optional(Type.String()),
  }),
);

export const keyChangeView = schemaOf<KeyChangeView>()(
  strictObject({
    key: keyView,
    changed: Type.Boolean(),
    disks: Type.Array(diskChangeView),
    took_ms: Type.Number(),
    unrecorded: Type.Optional(Type.String()),
  }),
);

export const impactView = schemaOf<ImpactView>()(
  strictObject({
    key: keyView,
    disks: Type.Array(
      strictObject({
        name: Type.String(),
        kind: diskKind,
        state: Type.String(),
        attached: Type.Boolean(),
        mounted_at: Type.Optional(Type.String()),
      }),
    ),
  }),
);

const fileCache = oneOf('direct', 'kernel');
const transport = oneOf('fuse', 'nbd');

const attachmentView = schemaOf<AttachmentView>()(
  strictObject({
    transport,
    path: Type.Optional(Type.String()),
    uri: Type.Optional(Type.String()),
    read_only: Type.Boolean(),
    cache: fileCache,
    gate: oneOf('open', 'held', 'closed'),
    poisoned: Type.Boolean(),
    mounted_at: Type.Optional(Type.String()),
    filesystem: Type.Optional(Type.String()),
  }),
);

const healthFields = {
  state: oneOf('ok', 'locked', 'paused', 'failed'),
  reason: Type.Optional(Type.String()),
  cure: Type.Optional(Type.String()),
};

export const diskView = schemaOf<DiskView>()(
  strictObject({
    id: Type.String(),
    name: Type.String(),
    kind: diskKind,
    state: Type.String(),
    state_reason: Type.Optional(Type.String()),
    size: Type.Integer(),
    used: Type.Integer(),
    shared: Type.Integer(),
    layers: Type.Integer(),
    key_id: Type.String(),
    key_name: Type.String(),
    key_state: Type.String(),
    created_at: Type.String(),
    source: Type.Optional(Type.String()),
    source_sha256: Type.Optional(Type.String()),
    on_key_loss: Type.Optional(onKeyLoss),
    volume: Type.Optional(Type.String()),
    attachment: Type.Optional(attachmentView),
    health: strictObject(healthFields),
  }),
);

export const createdDiskView = schemaOf<Created<DiskView>>()(
  strictObject({ created: diskView, remarks: Type.Array(Type.String()) }),
);

export const deleteView = schemaOf<DeleteView>()(
  strictObject({
    name: Type.String(),
    kept_layers: Type.Integer(),
    needed_by: Type.Array(Type.String()),
  }),
);

export const exportedKeyView = strictObject({ file: Type.String(), container: Type.String() });

export const exportView = schemaOf<ExportView>()(
  strictObject({ file: Type.String(), size: Type.Integer(), data: Type.Integer() }),
);

export const auditView = schemaOf<AuditView>()(
  strictObject({
    sequence: Type.Integer(),
    time: Type.String(),
    principal: Type.String(),
    action: Type.String(),
    resource: Type.String(),
    result: oneOf('allowed', 'refused'),
    detail: Type.String(),
  }),
);

export const statusView = schemaOf<StatusView>()(
  strictObject({
    version: Type.String(),
    pid: Type.Integer(),
    state_dir: Type.String(),
    runtime_dir: Type.String(),
    started_at: Type.String(),
    fuse_driver: oneOf('native', 'portable', 'none'),
    nbd: Type.Array(Type.String()),
    xts_kernel: oneOf('vaes512', 'vaes256', 'aesni', 'openssl'),
    secret_memory: oneOf('memfd_secret', 'locked'),
    keys: Type.Integer(),
    volumes: Type.Integer(),
    images: Type.Integer(),
    snapshots: Type.Integer(),
    attached: Type.Integer(),
    mounted: Type.Integer(),
    unwell: Type.Array(strictObject({ name: Type.String(), kind: diskKind, ...healthFields })),
    recovery: Type.Array(Type.String()),
  }),
);

export const errorView = schemaOf<ErrorView>()(
  strictObject({
    error: strictObject({
      code: Type.String(),
      message: Type.String(),
      hint: Type.Optional(Type.String()),
      cloud_code: Type.Optional(Type.String()),
    }),
  }),
);

export const noFields = strictObject({});

export const keyCreate = strictObject({
  name: nameText,
  description: Type.Optional(longText),
  origin: Type.Optional(oneOf('kms', 'external')),
});

export const volumeCreate = schemaOf<VolumeCreate>()(
  strictObject({
    name: nameText,
    size: Type.Optional(wholeNumber),
    key: Type.Optional(nameText),
    image: Type.Optional(nameText),
    snapshot: Type.Optional(nameText),
    file: Type.Optional(absolutePath),
    format: Type.Optional(imageFormat),
    preallocate: Type.Optional(Type.Boolean()),
    on_key_loss: Type.Optional(onKeyLoss),
  }),
);

export const volumeResize = schemaOf<VolumeResize>()(
  strictObject({
    size: wholeNumber,
    grow_filesystem: Type.Optional(Type.Boolean()),
    shrink: Type.Optional(Type.Boolean()),
    confirm: Type.Optional(nameText),
  }),
);

export const imageCreate = schemaOf<ImageCreate>()(
  strictObject({
    name: nameText,
    volume: Type.Optional(nameText),
    snapshot: Type.Optional(nameText),
    file: Type.Optional(absolutePath),
    format: Type.Optional(imageFormat),
    key: Type.Optional(nameText),
  }),
);

export const imageCopy = schemaOf<ImageCopy>()(strictObject({ name: nameText, key: nameText }));

export const rename = strictObject({ name: nameText });
export const description = strictObject({ description: longText });
const killUsers = Type.Optional(Type.Boolean());
export const keyLoss = strictObject({ kill_users: killUsers });
export const deletionSchedule = strictObject({
  days: wholeNumber,
  confirm: Type.Optional(nameText),
  kill_users: killUsers,
});
export const volumeSettings = strictObject({ on_key_loss: onKeyLoss });
const howShown = { cache: Type.Optional(fileCache), transport: Type.Optional(transport) };
export const attachOptions = strictObject({
  read_only: Type.Optional(Type.Boolean()),
  ...howShown,
});
export const imageAttachOptions = strictObject(howShown);
export const shutdown = strictObject({ keep_mounts: Type.Optional(Type.Boolean()) });
export const detachOptions = strictObject({ force: Type.Optional(Type.Boolean()) });
export const volumeMountOptions = strictObject({
  directory: absolutePath,
  mkfs: Type.Optional(nameText),
  read_only: Type.Optional(Type.Boolean()),
});
export const imageMountOptions = strictObject({ directory: absolutePath });
export const diskExport = schemaOf<DiskExport>()(
  strictObject({
    file: absolutePath,
    format: Type.Optional(oneOf('raw', 'luks2')),
    plaintext: Type.Optional(Type.Boolean()),
    passphrase_socket: Type.Optional(absolutePath),
    pbkdf: Type.Optional(oneOf('pbkdf2', 'argon2id')),
  }),
);
export const keyExport = strictObject({ file: absolutePath });
export const snapshotCreate = strictObject({ snapshot: nameText });

const count = Type.String({ pattern: '^[0-9]{1,15}$', description: 'a whole number' });
export const snapshotQuery = strictObject({ volume: Type.Optional(nameText) });
export const auditQuery = strictObject({
  limit: Type.Optional(count),
  since_sequence: Type.Optional(count),
});
