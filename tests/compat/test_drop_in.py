"""Programs that import chainer: after compat.install(), under `python -m chainlite`, and in child processes.

Each runs in an interpreter of its own, as what is installed in a process stays installed.
"""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

pytestmark = pytest.mark.host('names of modules, and processes')

ROOT = Path(__file__).parents[2]
INSTALL = 'import chainlite.compat\nchainlite.compat.install()\n'


def python(*args, cwd, **environ):
    # One thread: Python 3.12 and later warn of a fork while a matrix library's threads run.
    env = {**os.environ, 'PYTHONPATH': str(ROOT), 'OPENBLAS_NUM_THREADS': '1', **environ}
    done = subprocess.run(
        [sys.executable, '-W', 'error', *map(str, args)], cwd=cwd, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture
def run(tmp_path):
    """Runs the text of a program after compat.install(); returns the lines that it prints."""
    return lambda text: python('-c', INSTALL + textwrap.dedent(text), cwd=tmp_path)


@pytest.fixture
def script(tmp_path):
    """Writes a program into a folder of its own."""

    def write(text, name='program.py'):
        path = tmp_path / 'scripts' / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path

    return write


@pytest.fixture
def real_chainer(tmp_path):
    """A folder with a package that is called chainer and is not chainlite."""
    package = tmp_path / 'site' / 'chainer'
    package.mkdir(parents=True)
    (package / '__init__.py').write_text('__version__ = "1.24.0"\n')
    return package.parent


def test_modules_are_the_same_objects_under_both_names(run):
    lines = run("""
        import chainer, chainlite, chainlite.utils.conv
        import chainer.utils.conv
        from chainer.training import triggers
        import chainlite.training.triggers
        print(chainer is chainlite, chainer.utils.conv is chainlite.utils.conv,
              triggers is chainlite.training.triggers)
    """)
    assert lines == ['True True True']


def test_modules_keep_their_own_spec(run):
    assert run('import chainer.utils.conv as c; print(c.__name__, c.__spec__.name)') == [
        'chainlite.utils.conv chainlite.utils.conv'
    ]


def test_every_import_form_reaches_the_same_class(run):
    lines = run("""
        import chainer, chainer.functions as F
        from chainer import Variable
        from chainer.variable import Variable as V
        from chainer.functions.activation.relu import relu
        import chainlite.variable
        print(chainer.Variable is Variable is V is chainlite.variable.Variable, F.relu is relu)
    """)
    assert lines == ['True True']


def test_a_function_in_the_place_of_its_module_stays(run):
    """`chainer.utils.experimental` is a function; importing the module of that name must not hide it."""
    lines = run("""
        import chainlite.utils
        before = chainlite.utils.experimental
        import chainer.utils.experimental
        print(callable(before), chainer.utils.experimental is before)
    """)
    assert lines == ['True True']


def test_a_missing_module_is_named_as_the_program_named_it(run):
    lines = run("""
        try:
            import chainer.no_such_module
        except ModuleNotFoundError as e:
            print(e)
    """)
    assert lines == ["No module named 'chainer.no_such_module'"]


def test_programs_that_compare_versions_see_chainers(run):
    lines = run("""
        import chainer, chainlite._version, importlib.metadata
        print(chainer.__version__, chainlite._version.__version__)
    """)
    assert lines == ['7.8.1 0.1.0']


def test_without_install_the_version_is_our_own(tmp_path):
    assert python('-c', 'import chainlite as chainer; print(chainer.__version__)', cwd=tmp_path) == ['0.1.0']


def test_chainerx_is_there_and_not_available(run):
    lines = run("""
        import chainerx, numpy
        print(chainerx.is_available(), isinstance(numpy.zeros(1), chainerx.ndarray))
        try:
            chainerx.ndarray((1,), 'f')
        except RuntimeError as e:
            print(e)
    """)
    assert lines == ['False False', 'chainerx is not available.']


def test_installing_twice_does_nothing(run):
    assert run("""
        import sys
        n = len(sys.meta_path)
        chainlite.compat.install()
        print(len(sys.meta_path) - n)
    """) == ['0']


def test_chainlite_wins_over_an_installed_chainer(run, real_chainer):
    assert run(f'import sys; sys.path.insert(0, {str(real_chainer)!r}); import chainer; print(chainer.__name__)') == [
        'chainlite'
    ]


def test_an_already_imported_chainer_is_refused(tmp_path, real_chainer):
    text = """
        import sys
        sys.path.insert(0, sys.argv[1])
        import chainer, chainlite.compat
        try:
            chainlite.compat.install()
        except RuntimeError as e:
            print(e)
        print(chainer.__version__, 'chainerx' in sys.modules)
    """
    lines = python('-c', textwrap.dedent(text), real_chainer, cwd=tmp_path)
    assert 'chainer is already imported, from' in lines[0] and 'python -m chainlite' in lines[0]
    assert lines[1] == '1.24.0 False'


def test_a_script_gets_its_arguments_folder_and_name(tmp_path, script):
    program = script("""
        import sys, chainer, helper
        print(__name__, __file__ == sys.argv[0], sys.argv[1:], chainer.__version__, helper.found)
        print(sys.path[0])
    """)
    script('found = True\n', 'helper.py')
    lines = python('-m', 'chainlite', program, '--gpu', '-1', '-m', cwd=tmp_path)
    assert lines == ["__main__ True ['--gpu', '-1', '-m'] 7.8.1 True", str(program.parent)]


def test_a_module_gets_its_arguments_and_name(tmp_path, script):
    program = script('import sys, chainer\nprint(__name__, __spec__.name, sys.argv, chainer.__name__)\n')
    lines = python('-m', 'chainlite', '-m', 'program', '--epoch', '2', cwd=program.parent)
    assert lines == [f"__main__ program ['{program}', '--epoch', '2'] chainlite"]


def test_the_exit_status_is_the_scripts(tmp_path, script):
    program = script('import sys\nsys.exit(7)\n')
    done = subprocess.run([sys.executable, '-m', 'chainlite', program], cwd=ROOT)
    assert done.returncode == 7


def test_a_missing_script_is_named(tmp_path):
    done = subprocess.run([sys.executable, '-m', 'chainlite', 'no.py'], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and "can't open file 'no.py'" in done.stderr


def test_info_prints_the_runtime(tmp_path):
    lines = python('-m', 'chainlite', '--info', cwd=tmp_path)
    assert any(line.startswith('NumPy: ') for line in lines)


CHILD = """
    import multiprocessing, subprocess, sys
    import chainer

    def where(_):
        import chainer.utils
        return chainer.utils.__name__, chainer.__version__

    if __name__ == '__main__':
        for method in multiprocessing.get_all_start_methods():
            with multiprocessing.get_context(method).Pool(1) as pool:
                print(method, *pool.map(where, [0])[0])
        text = 'import chainer.utils, chainerx; print(chainer.utils.__name__, chainerx.is_available())'
        print(subprocess.run([sys.executable, '-c', text], capture_output=True, text=True, cwd='/').stdout.strip())
"""


def check_children(lines):
    *spawned, last = lines
    assert last == 'chainlite.utils False'
    assert 'spawn chainlite.utils 7.8.1' in spawned
    assert all(line.endswith(' chainlite.utils 7.8.1') for line in spawned)


@pytest.mark.parametrize('how', ['script', 'module'])
def test_child_processes_follow(tmp_path, script, real_chainer, how):
    program = script(CHILD)
    what = [program] if how == 'script' else ['-m', 'program']
    path = os.pathsep.join([str(ROOT), str(real_chainer)])
    check_children(python('-m', 'chainlite', *what, cwd=program.parent, PYTHONPATH=path))


def test_child_processes_follow_where_chainlite_was_found_in_the_working_folder(script):
    program = script(CHILD)
    check_children(python('-m', 'chainlite', program, cwd=ROOT, PYTHONPATH=''))


def test_install_can_leave_child_processes_alone(tmp_path):
    lines = python(
        '-c',
        'import os, sys\nbefore = os.environ["PYTHONPATH"], list(sys.path)\nimport chainlite.compat\n'
        'chainlite.compat.install(children=False)\nprint((os.environ["PYTHONPATH"], sys.path) == before)',
        cwd=tmp_path,
    )
    assert lines == ['True']
