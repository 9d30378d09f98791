/** The schemas of the standard (section 1.7), by Ajv. */
import Ajv from 'ajv/dist/2020.js';

/** @typedef {{ has: (name: string) => boolean, errors: (name: string, value: unknown) => { pointer: string, message: string }[] }} Schemas */

/** A schema without `uniqueItems`, which the rules on order imply: Ajv compares every pair of items. @param {any} schema @returns {any} */
export function withoutPairs(schema) {
  if (Array.isArray(schema)) return schema.map(withoutPairs);
  if (typeof schema !== 'object' || schema === null) return schema;
  return Object.fromEntries(Object.entries(schema).filter(([name]) => name !== 'uniqueItems').map(([name, value]) => [name, withoutPairs(value)]));
}

/**
 * @param {Record<string, object>} documents schemas by name
 * @returns {Schemas}
 */
export function compileSchemas(documents) {
  const ajv = new Ajv.default({ allErrors: false, strict: false, validateFormats: false });
  const compiled = new Map(Object.entries(documents).map(([name, schema]) => [name, ajv.compile(withoutPairs(schema))]));
  return {
    has: (name) => compiled.has(name),
    errors(name, value) {
      const validate = compiled.get(name);
      if (!validate || validate(value)) return [];
      return (validate.errors ?? []).map(({ instancePath, message }) => ({ pointer: instancePath, message: message ?? 'refused' }));
    },
  };
}
