"""Lines of code by area against the estimate for the whole, and the longest functions.

Code lines are those with a token that is neither a comment nor part of a docstring; raw lines are all.
"""

import ast
import io
import token
import tokenize
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
ESTIMATE = 20_000  # code lines of Python for the whole of Chainer's interface
SILENT = {token.NL, token.NEWLINE, token.INDENT, token.DEDENT, token.COMMENT, token.ENCODING, token.ENDMARKER}


def docstring_lines(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.body:
            first = node.body[0]
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                yield from range(first.lineno, first.end_lineno + 1)


def code_lines(text, tree):
    lines = set()
    for t in tokenize.generate_tokens(io.StringIO(text).readline):
        if t.type not in SILENT:
            lines.update(range(t.start[0], t.end[0] + 1))
    return lines - set(docstring_lines(tree))


def area(path):
    parts = path.relative_to(ROOT).parts
    if parts[0] != 'chainlite':
        return parts[0] + '/'
    return 'chainlite/' + (parts[1] + '/' if len(parts) > 2 else '*.py')


def main():
    raw, code, longest = Counter(), Counter(), []
    folders = ('chainlite', 'kernels', 'tests', 'benchmarks', 'examples', 'scripts')
    for path in sorted(
        p for folder in folders for p in (ROOT / folder).rglob('*') if p.suffix in ('.py', '.cu', '.cuh')
    ):
        text = path.read_text(encoding='utf-8')
        raw[area(path)] += len(text.splitlines())
        if path.suffix != '.py':
            lines = (line.strip() for line in text.splitlines())
            code[area(path)] += sum(bool(line) and not line.startswith('//') for line in lines)
            continue
        tree = ast.parse(text)
        lines = code_lines(text, tree)
        code[area(path)] += len(lines)
        if path.is_relative_to(ROOT / 'chainlite'):
            for node in ast.walk(tree):
                if isinstance(node, ast.FunctionDef):
                    size = sum(node.lineno <= line <= node.end_lineno for line in lines)
                    longest.append((size, f'{path.relative_to(ROOT)}:{node.lineno} {node.name}'))
    print(f'{"area":32}  {"code":>6}  {"raw":>6}')
    for name in sorted(code):
        print(f'{name:32}  {code[name]:6}  {raw[name]:6}')
    total = sum(n for name, n in code.items() if name.startswith('chainlite/'))
    print(f'\nchainlite: {total} of an estimated {ESTIMATE} lines of code ({total / ESTIMATE:.0%})')
    print('\nlongest functions (lines of code)')
    for size, where in sorted(longest, reverse=True)[:10]:
        print(f'{size:5}  {where}')


if __name__ == '__main__':
    main()
