/** Verbs on disks leave an audit record, done or refused. */
import { auditStatement, type AuditAction } from '../audit/audit.js';
import { Fault } from '../fault.js';
import type { Caller } from '../kms/key-service.js';
import type { DiskContext } from './context.js';

type AuditContext = Pick<DiskContext, 'audit' | 'clock' | 'warn'>;

/**
 * Runs `work`, then records that it was done, with `detail`, or refused with which fault.
 * `resource`: "volume db".
 */
export async function audited<Result>(
  context: AuditContext,
  caller: Caller,
  action: AuditAction,
  resource: string,
  work: () => Promise<Result>,
  detail = '',
): Promise<Result> {
  const result = await auditedRefusals(context, caller, action, resource, work);
  await recordLate(context, caller, action, resource, 'allowed', detail);
  return result;
}

/** Runs `work`, which records itself what is done, and records refusals. */
export async function auditedRefusals<Result>(
  context: AuditContext,
  caller: Caller,
  action: AuditAction,
  resource: string,
  work: () => Promise<Result>,
): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    const detail = error instanceof Fault ? error.code : 'INTERNAL';
    await recordLate(context, caller, action, resource, 'refused', detail);
    throw error;
  }
}

/** Records before it is done, for what cannot be undone; throws when it cannot be recorded. */
export async function recordAudit(
  context: AuditContext,
  caller: Caller,
  action: AuditAction,
  resource: string,
  result: 'allowed' | 'refused',
  detail: string,
): Promise<void> {
  const { principal } = caller;
  const timeMs = context.clock.nowMs();
  const record = auditStatement({ timeMs, principal, action, resource, result, detail });
  await context.audit.commit([record]);
}

/** What was done stays done, so a record that cannot be written is only told. */
export async function recordLate(...record: Parameters<typeof recordAudit>): Promise<void> {
  try {
    await recordAudit(...record);
  } catch (error) {
    const [context, , action, resource] = record;
    context.warn(`${action} of ${resource} has no audit record: ${String(error)}`);
  }
}
