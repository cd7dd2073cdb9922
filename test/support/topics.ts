import fc from "fast-check";

const name = fc.constantFrom("a", "b", "c", "", "$x", "é");

/** Topics with few different levels, so that filters often match. */
export const topics = fc
  .array(name, { minLength: 1, maxLength: 5 })
  .map((levels) => levels.join("/"))
  .filter((topic) => topic !== "");

const level = fc.oneof({ weight: 3, arbitrary: name }, { weight: 1, arbitrary: fc.constant("+") });

export const filters = fc
  .tuple(fc.array(level, { minLength: 1, maxLength: 4 }), fc.boolean())
  .map(([levels, isOpen]) => (isOpen ? [...levels.slice(1), "#"] : levels).join("/"))
  .filter((filter) => filter !== "");
