/** What build.js makes while it bundles. */
declare module 'virtual:schemas' {
  type Validate = ((value: unknown) => boolean) & { errors?: { instancePath: string, message?: string }[] | null };
  const validators: Record<string, Validate>;
  export default validators;
}
declare module 'virtual:rules' {
  const rules: Record<string, { text: string, level: string, chapter: string }>;
  export default rules;
}
declare module 'virtual:worker' {
  const source: string;
  export default source;
}
declare module 'virtual:runner' {
  /** null in a page without engines. */
  export const runner: null | {
    useEngine: (text: string) => Promise<void>;
    check: (bundle: object, schemas: object) => Promise<any>;
  };
}
