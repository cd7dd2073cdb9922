import { nearest } from "../config/nearest.ts";
import {
  arithmetic,
  comparisons,
  functions,
  methods,
  type Signature,
  type Type,
  typeWords,
} from "./expression-functions.ts";
import { below, hintFor, type Leaf, type NameNode } from "./expression-names.ts";
import { arithmeticOf, type Checked, comparisonOf, isList, type Ruled } from "./expression-rules.ts";
import {
  type Call,
  type Comprehension,
  callOf,
  constantOf,
  type Expr,
  identOf,
  listOf,
  numberOf,
  rerooted,
  type Step,
  stepsOf,
} from "./expression-tree.ts";

/** A mistake in an expression. `offset` counts characters from its beginning. */
export interface ExpressionProblem {
  readonly message: string;
  readonly offset: number;
  readonly hint?: string;
}

export interface Names {
  readonly leaves: readonly Leaf[];
  readonly top: NameNode;
}

/** The name under which `has(path)` is bound. */
export function presenceName(path: string): string {
  return `has ${path}`;
}

const UNKNOWN = "any";

/**
 * Checks names and types of a parsed tree, which the library does not, and rewrites it: declared paths become one flat
 * name, integer literals doubles, operators on numbers our own, which err on a result that is not finite.
 */
export class Checker {
  readonly problems: ExpressionProblem[] = [];
  /** What it reads, and where it does so first. */
  readonly used = new Map<Leaf, number>();
  readonly presenceOf = new Set<Leaf>();
  /** Constant patterns of `matches`, to be tried once at load. */
  readonly patterns: { readonly pattern: string; readonly offset: number }[] = [];
  readonly #names: Names;
  readonly #positions: Readonly<Record<string, number>>;
  #variables = new Map<string, Type>();

  constructor(names: Names, positions: Readonly<Record<string, number>>) {
    this.#names = names;
    this.#positions = positions;
  }

  check(expr: Expr): Checked {
    const { exprKind } = expr;
    switch (exprKind.case) {
      case "constExpr":
        return this.#constant(expr);
      case "identExpr":
        return this.#named(expr, false);
      case "selectExpr":
        return this.#named(expr, exprKind.value.testOnly);
      case "callExpr":
        return this.#call(expr, exprKind.value);
      case "listExpr":
        return this.#list(expr, exprKind.value.elements);
      case "comprehensionExpr":
        return this.#loop(expr, exprKind.value);
      default:
        return this.#problem(expr, "maps can not be written in an expression");
    }
  }

  #problem(expr: Expr, message: string, hint?: string): Checked {
    this.#say(this.#offsetOf(expr.id), message, hint);
    return { expr, type: UNKNOWN };
  }

  #say(offset: number, message: string, hint?: string): void {
    this.problems.push(hint === undefined ? { message, offset } : { message, offset, hint });
  }

  #offsetOf(id: bigint): number {
    return this.#positions[id.toString()] ?? 0;
  }

  /** Where a level's name stands: the parser tells the dot before it, and inside has() nothing of the last one. */
  #offsetIn(steps: readonly Step[], at: number): number {
    const here = this.#offsetOf((steps[at] as Step).id);
    const before = steps[at - 1];
    if (before === undefined) return here;
    const start = this.#offsetIn(steps, at - 1);
    return here > start ? here + 1 : start + before.name.length + 1;
  }

  #constant(expr: Expr): Checked {
    const value = constantOf(expr);
    if (typeof value === "bigint") return { expr: numberOf(expr.id, Number(value)), type: "number" };
    if (typeof value === "number" && Number.isFinite(value)) return { expr, type: "number" };
    if (typeof value === "number") return this.#problem(expr, "the number is too large");
    if (typeof value === "string") return { expr, type: "text" };
    if (typeof value === "boolean") return { expr, type: "boolean" };
    if (value === null) return { expr, type: "null" };
    return this.#problem(expr, "bytes can not be written in an expression");
  }

  #named(expr: Expr, testOnly: boolean): Checked {
    const steps = stepsOf(expr);
    const [root] = steps ?? [];
    if (steps === undefined || root === undefined) return this.#select(expr, testOnly);
    const variable = this.#variables.get(root.name);
    if (variable === undefined) return this.#path(expr, steps, testOnly);
    return steps.length === 1 ? { expr, type: variable } : this.#select(expr, testOnly);
  }

  /** A level of something that is only known when it is evaluated. */
  #select(expr: Expr, testOnly: boolean): Checked {
    if (expr.exprKind.case !== "selectExpr" || expr.exprKind.value.operand === undefined)
      return { expr, type: UNKNOWN };
    const { field, operand } = expr.exprKind.value;
    const { expr: below, type } = this.check(operand);
    if (type !== UNKNOWN) return this.#problem(expr, `${typeWords[type]} has no "${field}"`);
    const value = { operand: below, field, testOnly };
    return { expr: { id: expr.id, exprKind: { case: "selectExpr", value } }, type: testOnly ? "boolean" : UNKNOWN };
  }

  #path(expr: Expr, steps: readonly Step[], testOnly: boolean): Checked {
    let node = this.#names.top;
    for (const [at, step] of steps.entries()) {
      const next = below(node, step.name);
      if (next === undefined) {
        const where =
          at === 0
            ? "here"
            : `in ${steps
                .slice(0, at)
                .map((one) => one.name)
                .join(".")}`;
        this.#say(
          this.#offsetIn(steps, at),
          `there is no "${step.name}" ${where}`,
          hintFor(step.name, node, this.#names.leaves),
        );
        return { expr, type: UNKNOWN };
      }
      node = next;
      const isEnd = node.leaf?.below === undefined || at === steps.length - 1;
      if (node.leaf !== undefined && isEnd) return this.#leaf(expr, steps, at, node.leaf, testOnly);
    }
    const example = [...node.below.keys()][0];
    const path = steps.map((step) => step.name).join(".");
    const hint = example === undefined ? undefined : `Name one of its values, for example ${path}.${example}.`;
    return this.#problem(expr, example === undefined ? `${path} has nothing in it` : `${path} is not a value`, hint);
  }

  #leaf(expr: Expr, steps: readonly Step[], at: number, leaf: Leaf, testOnly: boolean): Checked {
    const isWhole = at === steps.length - 1;
    if (isWhole && testOnly) {
      this.presenceOf.add(leaf);
      return { expr: identOf(expr.id, presenceName(leaf.path)), type: "boolean" };
    }
    if (!this.used.has(leaf)) this.used.set(leaf, this.#offsetIn(steps, 0));
    if (isWhole) return { expr: identOf(expr.id, leaf.path), type: leaf.type };
    const beyond = steps[at + 1] as Step;
    if (leaf.type !== UNKNOWN || leaf.isSingle === true) {
      this.#say(this.#offsetIn(steps, at + 1), `${leaf.path} is ${typeWords[leaf.type]} and has no "${beyond.name}"`);
      return { expr, type: UNKNOWN };
    }
    const inside = rerooted(expr, steps.length - 1 - at, identOf((steps[at] as Step).id, leaf.path));
    if (!testOnly) return { expr: inside, type: UNKNOWN };
    if (leaf.optional !== true) return { expr: inside, type: "boolean" };
    // Where there is nothing at all, there is nothing in it either.
    this.presenceOf.add(leaf);
    return { expr: callOf(expr.id, "_&&_", [identOf(expr.id, presenceName(leaf.path)), inside]), type: "boolean" };
  }

  #list(expr: Expr, elements: readonly Expr[]): Checked {
    const checked = elements.map((element) => this.check(element));
    const type = checked.length > 0 && checked.every((one) => one.type === "number") ? "numbers" : "list";
    return {
      expr: listOf(
        expr.id,
        checked.map((one) => one.expr),
      ),
      type,
    };
  }

  #call(expr: Expr, call: Call): Checked {
    const name = call.function;
    if (name === "_[_]") return this.#index(expr, call);
    if (call.target !== undefined) {
      return this.#function(expr, name, methods, [call.target, ...call.args], true);
    }
    const args = call.args.map((arg) => this.check(arg));
    if (Object.hasOwn(arithmetic, name))
      return this.#ruled(expr, arithmeticOf(expr.id, name, args as [Checked, Checked]));
    if (Object.hasOwn(comparisons, name))
      return this.#ruled(expr, comparisonOf(expr.id, name, args as [Checked, Checked]));
    switch (name) {
      case "_&&_":
      case "_||_":
      case "!_":
        return this.#logic(expr, name, args);
      case "@not_strictly_false":
        return {
          expr: callOf(
            expr.id,
            name,
            args.map((arg) => arg.expr),
          ),
          type: "boolean",
        };
      case "_?_:_":
        return this.#choice(expr, args);
      case "-_":
        return this.#negation(expr, args);
      case "@in":
        return this.#membership(expr, args);
      default:
        return this.#function(expr, name, functions, call.args, false, args);
    }
  }

  #index(expr: Expr, call: Call): Checked {
    const steps = stepsOf(expr);
    if (steps !== undefined && !this.#variables.has(steps[0]?.name ?? "")) {
      // A payload's level is read by the library; all else that is written like this is a declared path.
      const root = this.#names.top.below.get(steps[0]?.name ?? "");
      if (root?.leaf?.type !== UNKNOWN || root.leaf.below !== undefined) return this.#path(expr, steps, false);
    }
    const [list, at] = call.args as [Expr, Expr];
    const { expr: operand, type } = this.check(list);
    const literal = typeof constantOf(at) === "bigint" || typeof constantOf(at) === "string";
    // The library wants a place as a whole number: this is the one literal that is left as it is.
    const index = literal ? { expr: at, type: UNKNOWN as Type } : this.check(at);
    if (type !== "numbers" && type !== "list" && type !== UNKNOWN) {
      return this.#problem(expr, `only lists have places, and this is ${typeWords[type]}`);
    }
    if (type !== UNKNOWN && index.type !== "number" && typeof constantOf(at) !== "bigint" && index.type !== UNKNOWN) {
      return this.#problem(at, `a place in a list is a number, and this is ${typeWords[index.type]}`);
    }
    return { expr: callOf(expr.id, "_[_]", [operand, index.expr]), type: type === "numbers" ? "number" : UNKNOWN };
  }

  #ruled(expr: Expr, ruled: Ruled): Checked {
    return "mistake" in ruled ? this.#problem(expr, ruled.mistake, ruled.hint) : ruled;
  }

  #logic(expr: Expr, name: string, args: readonly Checked[]): Checked {
    for (const arg of args) this.#expect(arg, ["boolean"], `"${name.replaceAll("_", "")}" needs true or false`);
    return {
      expr: callOf(
        expr.id,
        name,
        args.map((arg) => arg.expr),
      ),
      type: "boolean",
    };
  }

  #choice(expr: Expr, args: readonly Checked[]): Checked {
    const [condition, a, b] = args as [Checked, Checked, Checked];
    this.#expect(condition, ["boolean"], "what stands before ? has to be true or false");
    const type = a.type === b.type ? a.type : isList(a.type) && isList(b.type) ? "list" : UNKNOWN;
    return { expr: callOf(expr.id, "_?_:_", [condition.expr, a.expr, b.expr]), type };
  }

  #negation(expr: Expr, args: readonly Checked[]): Checked {
    const [arg] = args as [Checked];
    this.#expect(arg, ["number"], '"-" needs a number');
    return { expr: callOf(expr.id, "@negate", [arg.expr]), type: "number" };
  }

  #membership(expr: Expr, args: readonly Checked[]): Checked {
    const [item, list] = args as [Checked, Checked];
    this.#expect(list, ["numbers", "list"], '"in" needs a list');
    if (list.type === "numbers") this.#expect(item, ["number"], "the list has numbers");
    return { expr: callOf(expr.id, "@in", [item.expr, list.expr]), type: "boolean" };
  }

  #expect(given: Checked, wanted: readonly Type[], rule: string): void {
    if (given.type === UNKNOWN || wanted.includes(given.type)) return;
    this.#problem(given.expr, `${rule}, and this is ${typeWords[given.type]}`);
  }

  #function(
    expr: Expr,
    name: string,
    known: Readonly<Record<string, Signature>>,
    written: readonly Expr[],
    isMethod: boolean,
    checked: readonly Checked[] = written.map((arg) => this.check(arg)),
  ): Checked {
    const signature = Object.hasOwn(known, name) ? known[name] : undefined;
    if (signature === undefined) {
      const close = nearest(name, [
        ...Object.keys(known),
        ...(isMethod ? ["exists", "all", "filter", "map"] : ["has"]),
      ]);
      return this.#problem(
        expr,
        `there is no function "${name}" here`,
        close === undefined ? undefined : `Did you mean "${close}"?`,
      );
    }
    const { takes, atLeast = takes.length, call, gives, whole } = signature;
    if (checked.length < atLeast || checked.length > takes.length) {
      return this.#problem(expr, `"${name}" needs ${takes.length - (isMethod ? 1 : 0)} argument(s)`);
    }
    for (const [at, arg] of checked.entries()) this.#expect(arg, takes[at] ?? [], `"${name}" does not take this`);
    if (name === "matches") this.#pattern(written[1]);
    const args = checked.map((arg) => (call === "timestamp" ? callOf(expr.id, "@whole", [arg.expr]) : arg.expr));
    const [target, ...rest] = args as [Expr, ...Expr[]];
    const made = isMethod ? callOf(expr.id, call, rest, target) : callOf(expr.id, call, args);
    return { expr: whole === true ? callOf(expr.id, "@double", [made]) : made, type: gives };
  }

  /** A pattern is compiled at each use; one that is put together at run time could be anything. */
  #pattern(expr: Expr | undefined): void {
    const pattern = expr === undefined ? undefined : constantOf(expr);
    if (expr === undefined) return;
    if (typeof pattern !== "string") this.#problem(expr, "the pattern of matches() has to be a fixed text");
    else this.patterns.push({ pattern, offset: this.#offsetOf(expr.id) });
  }

  #loop(expr: Expr, loop: Comprehension): Checked {
    const { iterRange, accuInit, loopCondition, loopStep, result } = loop;
    if (!iterRange || !accuInit || !loopCondition || !loopStep || !result)
      return this.#problem(expr, "the loop is not complete");
    const range = this.check(iterRange);
    this.#expect(range, ["numbers", "list"], "exists, all, map and filter need a list");
    const start = this.check(accuInit);
    const outer = this.#variables;
    this.#variables = new Map(outer)
      .set(loop.accuVar, start.type)
      .set(loop.iterVar, range.type === "numbers" ? "number" : UNKNOWN);
    const [condition, step, end] = [loopCondition, loopStep, result].map((part) => this.check(part)) as [
      Checked,
      Checked,
      Checked,
    ];
    this.#variables = outer;
    const value = {
      ...loop,
      iterRange: range.expr,
      accuInit: start.expr,
      loopCondition: condition.expr,
      loopStep: step.expr,
      result: end.expr,
    };
    return { expr: { id: expr.id, exprKind: { case: "comprehensionExpr", value } }, type: end.type };
  }
}
