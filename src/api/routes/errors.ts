/** From whatever went wrong to the error body of a reply. */
import type { FastifyError } from 'fastify';
import { Fault, mappingOf } from '../../fault.js';
import type { Log } from '../../log.js';
import type { ErrorView } from '../types.js';
import { defined } from './views.js';

export const bodyLimitBytes = 64 * 1024;

/** What fastify itself refuses, in our words. */
const refusalOfServer: Record<string, string> = {
  FST_ERR_CTP_BODY_TOO_LARGE: `the request body is larger than ${String(bodyLimitBytes)} bytes`,
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'the request body must be application/json',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'the request body is empty',
  FST_ERR_CTP_INVALID_JSON_BODY: 'the request body is not valid JSON',
  FST_ERR_BAD_URL: 'the path of the request is not well encoded',
};

type RequestError = Partial<
  Pick<FastifyError, 'statusCode' | 'code' | 'validation' | 'validationContext'>
>;
type ValidationError = NonNullable<RequestError['validation']>[number] & {
  // ajv's `verbose` adds the schema that refused.
  readonly parentSchema?: { readonly description?: string };
};

/**
 * The Fault that tells the client of `error`. What nobody expected becomes INTERNAL, which says
 * nothing of how we are built; the log keeps all of it.
 */
export function faultOf(error: unknown, what: string, log: Log): Fault {
  const fault = error instanceof Fault ? error : faultOfServer(error);
  if (fault !== undefined && mappingOf(fault.code).httpStatus < 500) return fault;
  log.error({ err: error, request: what }, 'a request failed');
  return fault ?? new Fault('INTERNAL', `internal error in ${what}; the daemon's log says more`);
}

export function errorView({ code, message, hint }: Fault): ErrorView {
  return {
    error: { code, message, ...defined({ hint, cloud_code: mappingOf(code).cloudCode }) },
  };
}

function faultOfServer(error: unknown): Fault | undefined {
  if (!(error instanceof Error)) return undefined;
  // fastify's errors carry these fields; every one of them may be missing on others.
  const { statusCode, code, validation, validationContext } = error as RequestError;
  const first = validation?.[0];
  if (first !== undefined) return invalidField(first, validationContext ?? 'request');
  if (statusCode === undefined || statusCode < 400 || statusCode >= 500) return undefined;
  const message = refusalOfServer[code ?? ''] ?? 'the request body is not valid JSON';
  return new Fault('INVALID_ARGUMENT', message, { cause: error });
}

const placeOfContext: Record<string, string> = {
  body: 'field',
  querystring: 'query field',
  params: 'path part',
};

function invalidField(error: ValidationError, context: string): Fault {
  const place = placeOfContext[context] ?? context;
  const field = error.instancePath.slice(1).replaceAll('/', '.');
  if (error.keyword === 'required') {
    return invalid(`${place} ${String(error.params.missingProperty)} is missing`);
  }
  if (error.keyword === 'additionalProperties') {
    return invalid(`${place} ${String(error.params.additionalProperty)} is unknown`);
  }
  if (field === '') return invalid(`the request ${context} must be a JSON object`);
  return invalid(`${place} ${field} must be ${expectationOf(error)}`);
}

function expectationOf(error: ValidationError): string {
  const values = error.params.allowedValues;
  if (Array.isArray(values)) return `one of ${values.join(', ')}`;
  const described = error.parentSchema?.description;
  return described ?? (error.message ?? 'valid').replace(/^must (be )?/, '');
}

function invalid(message: string): Fault {
  return new Fault('INVALID_ARGUMENT', message);
}
