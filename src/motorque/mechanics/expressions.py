"""Arithmetic that a model file brings along, evaluated on tensors without running anything else.

The text is parsed with Python's own grammar and every node outside a short list is refused; nothing is ever executed.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from motorque.errors import ModelError

_LONGEST = 4000
_BINARY: dict[type[ast.operator], Callable[[Tensor, Tensor], Tensor]] = {
    ast.Add: torch.add,
    ast.Sub: torch.sub,
    ast.Mult: torch.mul,
    ast.Div: torch.div,
    ast.Pow: torch.pow,
}
# The functions of Lepton, OpenSim's expression parser, under its names.
_FUNCTIONS: dict[str, tuple[int, Callable[..., Tensor]]] = {
    "sqrt": (1, torch.sqrt),
    "exp": (1, torch.exp),
    "log": (1, torch.log),
    "sin": (1, torch.sin),
    "cos": (1, torch.cos),
    "tan": (1, torch.tan),
    "sec": (1, lambda x: 1 / torch.cos(x)),
    "csc": (1, lambda x: 1 / torch.sin(x)),
    "cot": (1, lambda x: 1 / torch.tan(x)),
    "asin": (1, torch.asin),
    "acos": (1, torch.acos),
    "atan": (1, torch.atan),
    "sinh": (1, torch.sinh),
    "cosh": (1, torch.cosh),
    "tanh": (1, torch.tanh),
    "erf": (1, torch.erf),
    "erfc": (1, torch.erfc),
    "step": (1, lambda x: (x >= 0).to(x.dtype)),
    "delta": (1, lambda x: (x == 0).to(x.dtype)),
    "square": (1, torch.square),
    "cube": (1, lambda x: x**3),
    "recip": (1, torch.reciprocal),
    "abs": (1, torch.abs),
    "min": (2, torch.minimum),
    "max": (2, torch.maximum),
}


@dataclass(frozen=True)
class Expression:
    """An arithmetic expression of named variables, ``2.5*exp(-3*(q+0.1))-qdot^2``.

    Args:
        text: The expression in OpenSim's notation (``^`` is a power).
        variables: The names that may occur.

    Raises:
        ModelError: Something other than numbers, these variables, + - * / ^ and the functions of OpenSim's parser.
    """

    text: str
    variables: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.text) > _LONGEST:
            raise ModelError(f"the expression {self.text[:40]!r}… is longer than {_LONGEST} characters")
        try:
            tree = ast.parse("".join(self.text.split()).replace("^", "**"), mode="eval").body
            self._check(tree)
        except (SyntaxError, RecursionError, MemoryError, ValueError):
            raise ModelError(
                f"the expression {self.text[:80]!r} can't be understood; check its brackets and operators"
            ) from None
        object.__setattr__(self, "_tree", tree)

    def _check(self, node: ast.AST) -> None:
        if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
            self._check(node.left)
            self._check(node.right)
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
            self._check(node.operand)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
            count, _ = _FUNCTIONS.get(node.func.id, (None, None))
            if count is None:
                raise ModelError(
                    f"the expression {self.text[:80]!r} uses the function {node.func.id!r}, which is not supported"
                )
            if len(node.args) != count:
                raise ModelError(f"the expression {self.text[:80]!r}: {node.func.id} takes {count} arguments")
            for argument in node.args:
                self._check(argument)
        elif isinstance(node, ast.Name):
            if node.id not in self.variables:
                known = ", ".join(self.variables)
                raise ModelError(f"the expression {self.text[:80]!r} uses {node.id!r}; only {known} can be used")
        elif not (isinstance(node, ast.Constant) and type(node.value) in (int, float)):
            raise ModelError(f"the expression {self.text[:80]!r} is no plain arithmetic")

    def __call__(self, **values: Tensor) -> Tensor:
        """The expression's value; variables by name, all of one shape."""
        like = next(iter(values.values()))
        return self._value(self._tree, values, like)  # type: ignore[attr-defined]

    def _value(self, node: ast.AST, values: dict[str, Tensor], like: Tensor) -> Tensor:
        if isinstance(node, ast.BinOp):
            return _BINARY[type(node.op)](self._value(node.left, values, like), self._value(node.right, values, like))
        if isinstance(node, ast.UnaryOp):
            value = self._value(node.operand, values, like)
            return -value if isinstance(node.op, ast.USub) else value
        if isinstance(node, ast.Call):
            assert isinstance(node.func, ast.Name)
            return _FUNCTIONS[node.func.id][1](*(self._value(a, values, like) for a in node.args))
        if isinstance(node, ast.Name):
            return values[node.id]
        assert isinstance(node, ast.Constant)
        return torch.full_like(like, float(node.value))  # type: ignore[arg-type]
