/** The OpenAPI document, built from the same schemas that check requests. */
import type { TObject } from '@sinclair/typebox';
import { apiPrefix } from '../paths.js';
import { errorView } from '../schemas.js';
import type { Route } from './route.js';

/** An OpenAPI 3.1 document (whose schemas are JSON Schema) of `routes`. */
export function openApiDocument(routes: readonly Route[], version: string): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const route of routes) {
    const path = apiPrefix + route.path.replaceAll(/:(\w+)/g, '{$1}');
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operationOf(route) };
  }
  return { openapi: '3.1.0', info: { title: 'keyvol', version }, paths };
}

function operationOf(route: Route): object {
  return {
    summary: route.summary,
    parameters: [...parametersOf('path', route.params), ...parametersOf('query', route.query)],
    ...(route.body === undefined ? {} : { requestBody: { content: jsonContent(route.body) } }),
    responses: {
      200: {
        description: 'done',
        ...(route.reply === undefined ? {} : { content: jsonContent(route.reply) }),
      },
      default: { description: 'refused or failed', content: jsonContent(errorView) },
    },
  };
}

function parametersOf(where: 'path' | 'query', schema: TObject): object[] {
  return Object.entries(schema.properties).map(([name, property]) => ({
    name,
    in: where,
    required: schema.required?.includes(name) ?? false,
    schema: property,
  }));
}

function jsonContent(schema: object): object {
  return { 'application/json': { schema } };
}
