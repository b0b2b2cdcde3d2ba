"""The architecture: a module imports from its own floor or below, by full name, and there are no import cycles.

Lazy imports inside functions count; imports under ``if TYPE_CHECKING`` do not, as they never run.
"""

import ast
from pathlib import Path

import pytest

pytestmark = pytest.mark.host('reads source')

ROOT = Path(__file__).parents[1]
PACKAGE = 'chainlite'

# Lowest first. A module stands on the floor of the longest prefix that names it.
FLOORS = [
    {'configuration', '_version', '_chainerx', 'utils'},
    {
        *(
            'backend',
            '_backend',
            'backends',
            'cuda',
            'types',
            'device_resident',
            'warnings',
            '_random',
            '_runtime_info',
        ),
        *('initializer', 'initializers'),
        # Chainer's paths cross the floors here: these work on arrays,
        *('utils.conv', 'utils.conv_nd', 'utils.conv_nd_kernel', 'utils.walker_alias', 'utils.array'),
        *('dataset.convert', 'dataset.download'),
    },
    {
        *(
            'variable',
            'function_node',
            'function',
            'function_hook',
            '_backprop',
            '_backprop_utils',
            '_dlpack',
            '_engine',
            '_elementwise',
            '_adjoint',
            '_trilinear',
            '_fused',
            '_capturing',
            'memory_layouts',
        ),
        *('utils.sparse', 'graph_optimizations'),  # and these on variables
    },
    {'functions'},
    {
        *('link', 'link_hook', 'links', 'link_hooks', 'sequential', 'reporter', 'distribution', 'distributions'),
        *('function_hooks', 'computational_graph', 'serializer', 'serializers'),
    },
    {'optimizer', 'optimizers', 'optimizer_hooks', '_update_rule', '_update_memory', '_batched_update'},
    {'dataset', 'datasets', 'iterators', 'training', 'exporters'},
    {'testing', 'gradient_check', 'onnx_chainer'},
]

# The entrances: they gather names or start programs, and nothing imports them.
TOP = {'', 'compat', '__main__'}


def floor(name):
    """'utils.conv.x' -> 1, the floor of its longest named prefix; None if it has none."""
    parts = name.split('.')
    for n in range(len(parts), 0, -1):
        prefix = '.'.join(parts[:n])
        for number, names in enumerate(FLOORS):
            if prefix in names:
                return number
    return len(FLOORS) if parts[0] in TOP else None


def read_package(root):
    """All modules of the package under root: {name without the package's: (tree, is a package)}."""
    found = {}
    for path in sorted((root / PACKAGE).rglob('*.py')):
        parts = path.relative_to(root / PACKAGE).with_suffix('').parts
        if parts[0] == 'compat' and len(parts) > 2:
            continue  # the shim: other programs' modules
        is_package = parts[-1] == '__init__'
        found['.'.join(parts[:-1] if is_package else parts)] = ast.parse(path.read_text(encoding='utf-8')), is_package
    return found


class Imports(ast.NodeVisitor):
    """Collects the modules of the package that a module imports, and the spellings that the house does not allow."""

    def __init__(self, modules):
        self.modules = modules
        self.imported = []  # (line, module)
        self.misspelt = []  # (line, why)

    def visit_If(self, node):
        if ast.unparse(node.test).split('.')[-1] != 'TYPE_CHECKING':
            self.generic_visit(node)
        for child in node.orelse if ast.unparse(node.test).split('.')[-1] == 'TYPE_CHECKING' else ():
            self.visit(child)

    def visit_Import(self, node):
        for alias in node.names:
            if alias.name == PACKAGE or alias.name.startswith(PACKAGE + '.'):
                # `import chainlite.x` binds the package too.
                self.misspelt.append((node.lineno, f'import {alias.name}'))

    def visit_ImportFrom(self, node):
        if node.level:
            self.misspelt.append((node.lineno, 'a relative import'))
        elif node.module == PACKAGE or (node.module or '').startswith(PACKAGE + '.'):
            base = node.module.removeprefix(PACKAGE).removeprefix('.')
            for alias in node.names:
                name = f'{base}.{alias.name}' if base else alias.name
                if name in self.modules:
                    self.imported.append((node.lineno, name))
                elif base:
                    self.imported.append((node.lineno, base))
                else:
                    self.misspelt.append((node.lineno, f'from {PACKAGE} import {alias.name}, which is no module'))


def survey(modules):
    found = {}
    for name, (tree, _) in modules.items():
        visitor = Imports(modules)
        visitor.visit(tree)
        found[name] = visitor
    return found


def upward(surveyed):
    return [
        f'{name}:{line} (floor {floor(name)}) imports {target} (floor {floor(target)})'
        for name, visitor in surveyed.items()
        for line, target in visitor.imported
        if floor(name) is not None and floor(target) is not None and floor(target) > floor(name)
    ]


def misspelt(surveyed):
    return [f'{name}:{line}: {why}' for name, v in surveyed.items() if name not in TOP for line, why in v.misspelt]


def cycles(surveyed, modules):
    """Strongly connected groups of modules, by Tarjan's algorithm.

    A package's __init__ that gathers names from its modules is no part of a cycle with them unless one of them imports
    from the package itself.
    """
    graph = {
        name: {t for _, t in v.imported if t in modules and t != name}
        for name, v in surveyed.items()
        if name not in TOP
    }
    index, low, stack, found = {}, {}, [], []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        for target in graph.get(node, ()):
            if target not in index:
                visit(target)
                low[node] = min(low[node], low[target])
            elif target in stack:
                low[node] = min(low[node], index[target])
        if low[node] == index[node]:
            group = [stack.pop()]
            while group[-1] != node:
                group.append(stack.pop())
            if len(group) > 1:
                found.append(sorted(group))

    for node in graph:
        if node not in index:
            visit(node)
    return found


@pytest.fixture(scope='module')
def modules():
    return read_package(ROOT)


def test_every_module_stands_on_a_floor(modules):
    assert [name for name in modules if floor(name) is None] == []


def test_no_module_imports_from_a_higher_floor(modules):
    assert upward(survey(modules)) == []


def test_imports_are_absolute_and_name_the_module(modules):
    assert misspelt(survey(modules)) == []


def test_there_are_no_import_cycles(modules):
    assert cycles(survey(modules), modules) == []


def write(root, **files):
    for name, text in files.items():
        path = root / PACKAGE / (name.replace('__', '/') + '.py')
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return read_package(root)


def test_the_survey_sees_upward_imports_also_lazy_ones(tmp_path):
    files = write(tmp_path, backend='def f():\n    from chainlite.variable import Variable\n', variable='')
    assert upward(survey(files)) == ['backend:2 (floor 1) imports variable (floor 2)']


def test_the_survey_sees_cycles_also_lazy_ones(tmp_path):
    files = write(
        tmp_path,
        variable='from chainlite.function import f\n',
        function='def f():\n    from chainlite import variable\n',
    )
    assert cycles(survey(files), files) == [['function', 'variable']]


def test_the_survey_sees_relative_and_package_imports(tmp_path):
    files = write(tmp_path, variable='from . import x\nimport chainlite\nfrom chainlite import Variable\n')
    assert len(misspelt(survey(files))) == 3


def test_imports_for_type_checking_are_free(tmp_path):
    text = 'import typing\nif typing.TYPE_CHECKING:\n    from chainlite.variable import Variable\n'
    files = write(tmp_path, backend=text, variable='')
    assert upward(survey(files)) == []
