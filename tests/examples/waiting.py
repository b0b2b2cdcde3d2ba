"""``python waiting.py FILE PROGRAM ARGUMENTS...`` runs a program whose training stops as soon as the file is there.

It waits, five minutes at most, for whoever wants to interrupt it just then.
"""

import os
import runpy
import sys
import time

from chainlite.training import StandardUpdater

path, *sys.argv = sys.argv[1:]
sys.path[0] = os.path.dirname(sys.argv[0])
update = StandardUpdater.update


def wait_and_update(updater):
    end = time.monotonic() + 300
    while os.path.exists(path) and time.monotonic() < end:
        time.sleep(0.01)
    update(updater)


StandardUpdater.update = wait_and_update
runpy.run_path(sys.argv[0], run_name='__main__')
