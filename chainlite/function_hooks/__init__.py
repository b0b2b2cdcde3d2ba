"""Hooks that watch functions run: they time, print or profile each call."""

from chainlite.function_hooks.cuda_profile import CUDAProfileHook
from chainlite.function_hooks.cupy_memory_profile import CupyMemoryProfileHook
from chainlite.function_hooks.debug_print import PrintHook
from chainlite.function_hooks.timer import TimerHook

__all__ = ['CUDAProfileHook', 'CupyMemoryProfileHook', 'PrintHook', 'TimerHook']
