"""Programs that fork, where a child that hangs must not hang the tests."""

import os
import signal
import subprocess
import sys

import pytest


def output_of(program):
    """What a Python program prints, as words, after it and its children have ended by themselves."""
    command = [sys.executable, '-W', 'ignore', '-c', program]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
    try:
        out, _ = process.communicate(timeout=300)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # with its children
        process.communicate()
        pytest.fail('the child hangs')
    assert process.returncode == 0
    return out.split()
