"""Files that are replaced as a whole."""

import os
import signal
import subprocess
import sys

import pytest

from chainlite.utils.atomic import replacing

pytestmark = pytest.mark.host('replaces files')


def test_new_content_appears_at_the_end(tmp_path):
    path = tmp_path / 'f'
    path.write_text('old')
    with replacing(path) as temporary:
        with open(temporary, 'w') as f:
            f.write('new')
        assert path.read_text() == 'old'
        assert os.path.dirname(temporary) == str(tmp_path)
    assert path.read_text() == 'new'
    assert [p.name for p in tmp_path.iterdir()] == ['f']


@pytest.mark.parametrize('error', [ValueError, KeyboardInterrupt])
def test_error_leaves_the_old_content(tmp_path, error):
    path = tmp_path / 'f'
    path.write_text('old')
    with pytest.raises(error):
        with replacing(path) as temporary:
            with open(temporary, 'w') as f:
                f.write('new')
            raise error
    assert path.read_text() == 'old'
    assert [p.name for p in tmp_path.iterdir()] == ['f']


def test_error_names_the_file_and_not_the_temporary_one(tmp_path):
    path = str(tmp_path / 'missing' / 'f')
    with pytest.raises(FileNotFoundError) as e:
        with replacing(path) as temporary:
            open(temporary, 'w')
    assert e.value.filename == path and str(e.value).endswith(f"'{path}'")


def test_killed_process_leaves_the_old_content(tmp_path):
    path = tmp_path / 'f'
    path.write_text('old')
    program = (
        'import os, signal, sys\n'
        'from chainlite.utils.atomic import replacing\n'
        'with replacing(sys.argv[1]) as temporary, open(temporary, "w") as f:\n'
        '    f.write("n" * 100000); f.flush()\n'
        '    os.kill(os.getpid(), signal.SIGKILL)\n'
    )
    assert subprocess.run([sys.executable, '-c', program, path]).returncode == -signal.SIGKILL
    assert path.read_text() == 'old'


def test_permissions_are_kept_or_those_of_a_new_file(tmp_path):
    (tmp_path / 'plain').touch()
    (tmp_path / 'f').touch(mode=0o600)
    for name, like in (('f', 'f'), ('g', 'plain')):
        expected = (tmp_path / like).stat().st_mode
        with replacing(tmp_path / name) as temporary:
            open(temporary, 'w').close()
        assert (tmp_path / name).stat().st_mode == expected


def test_target_of_a_link_is_replaced(tmp_path):
    (tmp_path / 'folder').mkdir()
    (tmp_path / 'link').symlink_to(tmp_path / 'folder' / 'f')
    with replacing(tmp_path / 'link') as temporary, open(temporary, 'w') as f:
        f.write('new')
    assert (tmp_path / 'link').is_symlink()
    assert (tmp_path / 'folder' / 'f').read_text() == 'new'


def test_device_is_written_directly():
    with replacing(os.devnull) as name:
        assert name == os.devnull
