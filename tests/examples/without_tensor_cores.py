"""``python without_tensor_cores.py PROGRAM ARGUMENTS...`` runs a program without them.

The stand-in of a GPU takes minutes for convolutions on tensor cores.
"""

import os
import runpy
import sys

import chainlite

chainlite.global_config.use_cudnn_tensor_core = 'never'
sys.argv = sys.argv[1:]
sys.path[0] = os.path.dirname(sys.argv[0])
runpy.run_path(sys.argv[0], run_name='__main__')
