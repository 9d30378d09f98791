/** The schemas of the standard (section 1.7), by Ajv. */
import Ajv from 'ajv/dist/2020.js';

/** @typedef {{ has: (name: string) => boolean, errors: (name: string, value: unknown) => { pointer: string, message: string }[] }} Schemas */

/**
 * @param {Record<string, object>} documents schemas by name
 * @returns {Schemas}
 */
export function compileSchemas(documents) {
  const ajv = new Ajv.default({ allErrors: false, strict: false, validateFormats: false });
  const compiled = new Map(Object.entries(documents).map(([name, schema]) => [name, ajv.compile(schema)]));
  return {
    has: (name) => compiled.has(name),
    errors(name, value) {
      const validate = compiled.get(name);
      if (!validate || validate(value)) return [];
      return (validate.errors ?? []).map(({ instancePath, message }) => ({ pointer: instancePath, message: message ?? 'refused' }));
    },
  };
}
