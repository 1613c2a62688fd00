"""Messages that the page of troubleshooting quotes, as the library prints them."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import ast
import functools
import re
from pathlib import Path

import pytest

import skinest

PAGE = Path(__file__).parents[1] / "docs" / "guide" / "troubleshooting.rst"
MIN_LITERAL = 15  # letters of a message that are the same in every case
# What a placeholder may print where the code does not say which words: a value as
# Python shows it, a name or a number, or several of them; and text of other libraries.
VALUE = r"(?:'[^']*'|\[.*\]|\(.*\)|[\w.<>\[\]/:+-]+(?:\(.*\))?)"
VALUES = rf"{VALUE}(?:[,:;] {VALUE})*"
FREE = ".*"


class Messages:
    """Regular expressions of what the f-strings of a module print.

    A placeholder matches the words that are put into it, where these stand in the same
    module: in a conditional expression, in a variable of the function or in the call
    of the function.
    """

    def __init__(self, tree):
        functions = (ast.FunctionDef, ast.AsyncFunctionDef)
        self.functions = [n for n in ast.walk(tree) if isinstance(n, functions)]
        self.calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        self.texts = {}
        inside = set()
        for scope in [tree, *self.functions]:  # inner functions come after outer ones
            for node in ast.walk(scope):
                if isinstance(node, ast.JoinedStr):
                    inside |= {id(part) for part in ast.walk(node) if part is not node}
                self.texts[id(node)] = node, scope
        self.texts = {k: v for k, v in self.texts.items() if k not in inside}

    def patterns(self):
        """Yield an expression for each text that is long enough to be told apart."""
        for node, scope in self.texts.values():
            if isinstance(node, ast.JoinedStr):
                parts = [p.value for p in node.values if isinstance(p, ast.Constant)]
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                parts = [node.value]
            else:
                continue
            if len(re.findall("[a-z]", "".join(parts))) >= MIN_LITERAL:
                yield re.compile(self.expression(node, scope), re.DOTALL)

    def expression(self, node, scope, depth=0):
        """Return what a node prints as a regular expression."""
        if depth > 6:
            return VALUES
        resolve = functools.partial(self.expression, scope=scope, depth=depth + 1)
        if isinstance(node, ast.Constant):
            return re.escape(str(node.value))
        if isinstance(node, ast.JoinedStr):
            return "".join(map(resolve, node.values))
        if isinstance(node, ast.FormattedValue):
            value = VALUES if node.conversion == ord("r") else resolve(node.value)
            return rf"(?:{value}|\(\.\.\.\))"
        if isinstance(node, ast.IfExp):
            return f"(?:{resolve(node.body)}|{resolve(node.orelse)})"
        if isinstance(node, ast.BoolOp):
            return f"(?:{'|'.join(map(resolve, node.values))})"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            return FREE
        if isinstance(node, ast.Call):
            found = [
                self.expression(each, function, depth + 1)
                for each, function in self.returned(node)
            ]
            return f"(?:{'|'.join({*found} or {VALUES})})"
        if isinstance(node, ast.Name):
            found = [resolve(each) for each in self.assigned(node.id, scope)]
            found += [
                self.expression(each, other, depth + 1)
                for each, other in self.passed(node.id, scope)
            ]
            return f"(?:{'|'.join({*found} or {VALUES})})"
        return VALUES

    def returned(self, call):
        """Yield what a function of the module returns, and the function."""
        for function in self.functions:
            if function.name == getattr(call.func, "id", None):
                for node in ast.walk(function):
                    if isinstance(node, ast.Return) and node.value is not None:
                        yield node.value, function

    def assigned(self, name, scope):
        """Yield what is assigned to a variable."""
        for node in ast.walk(scope):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                if node.targets[0].id == name:
                    yield node.value
            elif isinstance(node, ast.ExceptHandler) and node.name == name:
                yield ast.parse("error.text()", mode="eval").body  # free

    def passed(self, name, scope):
        """Yield what is passed for a parameter, and where."""
        if not isinstance(scope, tuple(map(type, self.functions))):
            return
        names = [each.arg for each in scope.args.args]
        if name not in names:
            return
        position = names.index(name)
        for call in self.calls:
            if getattr(call.func, "id", None) == scope.name:
                found = [key.value for key in call.keywords if key.arg == name]
                for each in [*call.args[position : position + 1], *found]:
                    yield each, self.texts.get(id(call), (call, scope))[1]


@functools.cache
def message_patterns():
    """Return a regular expression for each text of the library, as it is printed."""
    files = Path(skinest.__file__).parent.rglob("*.py")
    trees = [ast.parse(file.read_text()) for file in files]
    return [pattern for tree in trees for pattern in Messages(tree).patterns()]


def quoted_messages():
    return re.findall(r"^\.\. message:: (.+)$", PAGE.read_text(), re.MULTILINE)


@pytest.mark.parametrize("message", quoted_messages())
def test_a_quoted_message_is_one_of_the_library(message):
    assert any(pattern.fullmatch(message) for pattern in message_patterns())


@pytest.mark.parametrize(
    "invented",
    [
        quoted_messages()[0].replace("Divide by", "Multiply by"),
        # Words that no placeholder prints.
        "All masks are of no label but 0. There is nothing to learn, and it is what "
        "will be predicted everywhere.",
        "2 of 900 paths are none of yours: X[0]: '1.jpg' does not exist. Remove them "
        "from X or correct them; relative paths start from '/home/me'.",
    ],
)
def test_an_invented_message_is_found_out(invented):
    assert not any(pattern.fullmatch(invented) for pattern in message_patterns())
