/**
 * A function that tells whether a text fits `pattern`, in which `*` stands for any characters.
 * Letter case counts. Takes time in proportion to the lengths of both, whatever they hold.
 */
export function wildcardMatcher(pattern: string): (text: string) => boolean {
  const [head = '', ...pieces] = pattern.split('*');
  const tail = pieces.pop();
  if (tail === undefined) return (text) => text === head;
  return (text) => {
    if (!text.startsWith(head)) return false;
    let from = head.length;
    for (const piece of pieces) {
      const at = text.indexOf(piece, from);
      if (at === -1) return false;
      from = at + piece.length;
    }
    return text.length - tail.length >= from && text.endsWith(tail);
  };
}

/** What each `*` of `pattern` stands for in a text that fits it: as little as can be, the last one the rest. */
export function wildcardParts(pattern: string): (text: string) => readonly string[] | undefined {
  const fits = wildcardMatcher(pattern);
  const [head = '', ...pieces] = pattern.split('*');
  const tail = pieces.pop();
  return (text) => {
    if (!fits(text)) return undefined;
    if (tail === undefined) return [];
    const parts: string[] = [];
    let from = head.length;
    for (const piece of pieces) {
      const at = text.indexOf(piece, from);
      parts.push(text.slice(from, at));
      from = at + piece.length;
    }
    return [...parts, text.slice(from, text.length - tail.length)];
  };
}
