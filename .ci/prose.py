"""Check the English of pages, docstrings, comments and messages by `prose.toml`.

Without arguments all files that git tracks are checked, or all files of an unpacked
sdist; with arguments, these files.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import ast
import io
import re
import subprocess
import sys
import tokenize
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
SUFFIXES = {".md", ".py", ".rst"}
# Code, names and links inside of a text.
CODE = re.compile(r"``.*?``|`[^`\n]*`|\]\([^)]*\)|https?://\S+|:\w+:`[^`]*`", re.DOTALL)
FENCED = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
DIRECTIVE = re.compile(r"^( *)\.\. (?:code-block|plot|message)::")


def load_rules():
    """Return the rules, with compiled patterns."""
    rules = tomllib.loads((ROOT / ".ci" / "prose.toml").read_text("utf-8"))
    for rule in rules["rule"]:
        pattern = rule["pattern"].replace(" ", r"\s+")  # also over a line's end
        rule["compiled"] = re.compile(pattern, re.IGNORECASE)
    return rules


def blank(match):
    """Return empty lines, as many as a match has."""
    return "\n" * match.group().count("\n") or " "


def read_page(text):
    """Yield the prose of a page in Markdown or reStructuredText: (line, text)."""
    kept, indent = [], None
    for line in FENCED.sub(blank, text).split("\n"):
        start = DIRECTIVE.match(line)
        if indent is not None and line.strip():
            if len(line) - len(line.lstrip()) <= indent:
                indent = None
        if start:
            indent = len(start[1])
        is_code = indent is not None and not line.lstrip().startswith((":alt:", "#"))
        kept.append("" if is_code else line)
    yield 1, "\n".join(kept)


def find_docstrings(tree):
    """Yield the docstrings of a module, with their owners: (node, owner)."""
    owners = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for owner in ast.walk(tree):
        if isinstance(owner, owners) and ast.get_docstring(owner, clean=False):
            yield owner.body[0].value, owner


def read_python(text):
    """Yield the docstrings, messages and comments of a module: (line, text)."""
    tree = ast.parse(text)
    docstrings = {id(node) for node, _ in find_docstrings(tree)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            prose = re.sub(r"^ *(?:>>>|\.\.\.).*$", "", node.value, flags=re.MULTILINE)
            if id(node) in docstrings or " " in node.value.strip():
                yield node.lineno, prose
    comments = [
        (token.start[0], token.string)
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type == tokenize.COMMENT
    ]
    yield from ((line, comment.removeprefix("# ")) for line, comment in comments)


def check_text(name, first_line, text, rules):
    """Yield a line for each match of a rule in a text."""
    text = CODE.sub(blank, text)
    for phrase in rules["allow"]:
        text = re.sub(phrase, blank, text)
    for rule in rules["rule"]:
        for match in rule["compiled"].finditer(text):
            line = first_line + text.count("\n", 0, match.start())
            found = " ".join(match.group().split())
            yield f"{name}:{line}: {found!r}: write {rule['instead']}"


def check_first_words(name, text, rules):
    """Yield a line for each docstring that begins with a word that is not a verb."""
    settings = rules["docstrings"]
    for node, _ in find_docstrings(ast.parse(text)):
        word = node.value.split()[0]
        if word.lower() in settings["not_first"]:
            instead = settings["instead"]
            yield f"{name}:{node.lineno}: begins with {word}: write {instead}"


def check_file(path, rules):
    """Yield the problems in a file."""
    name, text = path.relative_to(ROOT).as_posix(), path.read_text("utf-8")
    read = read_python if path.suffix == ".py" else read_page
    for first_line, prose in read(text):
        yield from check_text(name, first_line, prose, rules)
    if path.suffix == ".py":
        yield from check_first_words(name, text, rules)


def is_checked(path, rules):
    """Return whether a path is a file of prose or code that is not excluded."""
    name = path.relative_to(ROOT)
    excluded = any(
        part.match(pattern)
        for pattern in rules["exclude"]
        for part in (name, *name.parents)
    )
    return path.suffix in SUFFIXES and path.is_file() and not excluded


def list_files():
    """Return all files that git tracks or, without git, all outside environments."""
    if not (ROOT / ".git").exists():
        paths = (path.relative_to(ROOT) for path in ROOT.rglob("*"))
        return [path for path in paths if not path.parts[0].startswith(".venv")]
    command = ["git", "ls-files", "-z"]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout
    return names.decode("utf-8").rstrip("\0").split("\0")


def main(names):
    """Print all problems, and return the exit code."""
    rules = load_rules()
    paths = [ROOT / name for name in names or list_files()]
    found = [
        line
        for path in paths
        if is_checked(path, rules)
        for line in check_file(path, rules)
    ]
    print(*found, sep="\n", end="\n" if found else "")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
