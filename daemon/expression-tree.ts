/** The part of the parser's tree that expressions use; the library's own type is wider. */
export interface Expr {
  readonly id: bigint;
  readonly exprKind: ExprKind;
}

export type ExprKind =
  | { readonly case: "constExpr"; readonly value: { readonly constantKind: Constant } }
  | { readonly case: "identExpr"; readonly value: { readonly name: string } }
  | { readonly case: "selectExpr"; readonly value: Select }
  | { readonly case: "callExpr"; readonly value: Call }
  | { readonly case: "listExpr"; readonly value: List }
  | { readonly case: "structExpr"; readonly value: object }
  | { readonly case: "comprehensionExpr"; readonly value: Comprehension }
  | { readonly case: undefined; readonly value?: undefined };

export interface Constant {
  readonly case: string | undefined;
  readonly value?: unknown;
}

export interface List {
  readonly elements: readonly Expr[];
  readonly optionalIndices: readonly number[];
}

export interface Select {
  readonly operand?: Expr | undefined;
  readonly field: string;
  readonly testOnly: boolean;
}

export interface Call {
  readonly function: string;
  readonly target?: Expr | undefined;
  readonly args: readonly Expr[];
}

export interface Comprehension {
  readonly iterVar: string;
  readonly accuVar: string;
  readonly iterRange?: Expr | undefined;
  readonly accuInit?: Expr | undefined;
  readonly loopCondition?: Expr | undefined;
  readonly loopStep?: Expr | undefined;
  readonly result?: Expr | undefined;
}

export function identOf(id: bigint, name: string): Expr {
  return { id, exprKind: { case: "identExpr", value: { name } } };
}

export function callOf(id: bigint, name: string, args: readonly Expr[], target?: Expr): Expr {
  return { id, exprKind: { case: "callExpr", value: { function: name, args, target } } };
}

export function numberOf(id: bigint, value: number): Expr {
  return { id, exprKind: { case: "constExpr", value: { constantKind: { case: "doubleValue", value } } } };
}

export function textOf(id: bigint, value: string): Expr {
  return { id, exprKind: { case: "constExpr", value: { constantKind: { case: "stringValue", value } } } };
}

export function listOf(id: bigint, elements: readonly Expr[]): Expr {
  return { id, exprKind: { case: "listExpr", value: { elements, optionalIndices: [] } } };
}

/** One level of a dotted name, and the node that carries it. */
export interface Step {
  readonly name: string;
  readonly id: bigint;
}

/** `a.b["c"]` as its levels; undefined where something else than names and fixed texts leads there. */
export function stepsOf(expr: Expr): Step[] | undefined {
  const { exprKind } = expr;
  switch (exprKind.case) {
    case "identExpr":
      return [{ name: exprKind.value.name, id: expr.id }];
    case "selectExpr":
      return longer(exprKind.value.operand, exprKind.value.field, expr.id);
    case "callExpr": {
      const [operand, index] = exprKind.value.args;
      if (exprKind.value.function !== "_[_]" || index === undefined) return undefined;
      const text = constantOf(index);
      return typeof text === "string" ? longer(operand, text, expr.id) : undefined;
    }
    default:
      return undefined;
  }
}

function longer(operand: Expr | undefined, name: string, id: bigint): Step[] | undefined {
  const steps = operand === undefined ? undefined : stepsOf(operand);
  return steps === undefined ? undefined : [...steps, { name, id }];
}

/** The same path with what stands `levels` below its end put in another way. */
export function rerooted(expr: Expr, levels: number, root: Expr): Expr {
  if (levels === 0) return root;
  const { exprKind } = expr;
  if (exprKind.case === "selectExpr") {
    const { field, testOnly, operand } = exprKind.value;
    const value = { field, testOnly, operand: rerooted(operand as Expr, levels - 1, root) };
    return { id: expr.id, exprKind: { case: "selectExpr", value } };
  }
  const [operand, index] = exprKind.case === "callExpr" ? exprKind.value.args : [];
  return callOf(expr.id, "_[_]", [rerooted(operand as Expr, levels - 1, root), index as Expr]);
}

/** The parser's null carries a 0. */
export function constantOf(expr: Expr): unknown {
  if (expr.exprKind.case !== "constExpr") return undefined;
  const { constantKind } = expr.exprKind.value;
  return constantKind.case === "nullValue" ? null : constantKind.value;
}

/** The nodes right below; the parts of a comprehension in the order in which they run. */
export function childrenOf(expr: Expr): readonly Expr[] {
  const { exprKind } = expr;
  switch (exprKind.case) {
    case "selectExpr":
      return present([exprKind.value.operand]);
    case "callExpr":
      return present([exprKind.value.target, ...exprKind.value.args]);
    case "listExpr":
      return exprKind.value.elements;
    case "comprehensionExpr": {
      const { iterRange, accuInit, loopCondition, loopStep, result } = exprKind.value;
      return present([iterRange, accuInit, loopCondition, loopStep, result]);
    }
    default:
      return [];
  }
}

function present(nodes: readonly (Expr | undefined)[]): readonly Expr[] {
  return nodes.filter((node): node is Expr => node !== undefined);
}

export function countNodes(expr: Expr): number {
  return childrenOf(expr).reduce((sum, child) => sum + countNodes(child), 1);
}

/** How deep loops are nested in loops. A loop over the result of another runs after it and adds nothing. */
export function loopDepth(expr: Expr): number {
  const deepest = (nodes: readonly Expr[]) => nodes.reduce((most, node) => Math.max(most, loopDepth(node)), 0);
  if (expr.exprKind.case !== "comprehensionExpr") return deepest(childrenOf(expr));
  const { iterRange, ...body } = expr.exprKind.value;
  const inner = present([body.accuInit, body.loopCondition, body.loopStep, body.result]);
  return Math.max(deepest(inner) + 1, iterRange === undefined ? 0 : loopDepth(iterRange));
}

export interface Part {
  readonly expr: Expr;
  readonly depth: number;
}

/** Parts that are worth a value of their own, outermost first: no constants, no bodies of loops, a path as one. */
export function partsOf(expr: Expr, depth = 0, above = ""): Part[] {
  const { exprKind } = expr;
  if (exprKind.case === "constExpr") return [];
  if (stepsOf(expr) !== undefined || exprKind.case === "selectExpr") return [{ expr, depth }];
  if (exprKind.case === "comprehensionExpr") {
    const { iterRange } = exprKind.value;
    return [{ expr, depth }, ...(iterRange === undefined ? [] : partsOf(iterRange, depth + 1))];
  }
  const name = exprKind.case === "callExpr" ? exprKind.value.function : "";
  // The parser pairs up the terms of a long "and"; a person wrote them in a row.
  const isContinued = name === above && (name === "_&&_" || name === "_||_");
  const below = childrenOf(expr).flatMap((child) => partsOf(child, isContinued ? depth : depth + 1, name));
  return isContinued ? below : [{ expr, depth }, ...below];
}
