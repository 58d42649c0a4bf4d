import { z } from 'zod';
import { HOP_BY_HOP } from '#core/http/fields.ts';
import { isTemplate, VARIABLES } from '#core/rules/template.ts';

/** What nodes need to say themselves, and what frames a message. */
const KEPT: ReadonlySet<string> = new Set([
  ...HOP_BY_HOP,
  'age',
  'cache-status',
  'cdn-loop',
  'content-length',
  'content-range',
  'date',
  'expect',
  'host',
  'via',
]);

const changeable = (name: string): boolean => {
  const lower = name.toLowerCase();
  return !KEPT.has(lower) && !lower.startsWith('canopy-');
};
const CHANGEABLE = { message: 'a field that nodes do not need for themselves' };

const fieldNameSchema = z
  .string()
  .max(128)
  .regex(/^[\w!#$%&'*+.^`|~-]+$/, 'a field name')
  .refine(changeable, CHANGEABLE);

/** A field value, in which `${…}` stands for what is known of the request. */
export const templateSchema = z
  .string()
  .max(4096)
  .regex(/^[\t\x20-\x7e\x80-\xff]*$/, 'a field value')
  .refine(isTemplate, { message: `of variables only ${VARIABLES}, as in \${client.country}` });

/** Fields by name. */
export const valuesSchema = z.record(fieldNameSchema, templateSchema).default({});

/** Changes of a header section: first what is removed, then what is set, then what is appended. */
export const headerChangesSchema = z
  .strictObject({
    /** Field names in any letter case; a trailing `*` stands for all that begin so. */
    remove: z
      .array(
        z
          .string()
          .max(128)
          .regex(/^[\w!#$%&'+.^`|~-]+\*?$/, 'a field name, at most with a trailing *'),
      )
      .max(100)
      .default([]),
    /** In place of all lines of the name. */
    set: valuesSchema,
    /** As a further line. */
    append: valuesSchema,
  })
  .refine(
    ({ remove, set, append }) =>
      remove.length + Object.keys(set).length + Object.keys(append).length > 0,
    { message: 'at least one of remove, set, append' },
  );

/** Whether a header section without `name` (lower case) is still one. */
export const isRemovable = changeable;

export type HeaderChanges = z.output<typeof headerChangesSchema>;
