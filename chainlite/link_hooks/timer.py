from chainlite.function_hooks._measure import Stopwatch
from chainlite.link_hook import LinkHook


class TimerHook(Stopwatch, LinkHook):
    """Times each call of a link.

    ``with TimerHook() as hook: ...; hook.print_report()`` prints the seconds and calls of each class of link. The time
    of a chain includes that of its children.

    Attributes:
        call_history: List of (class name, seconds), in the order in which the calls ended.
    """

    name = 'TimerHook'
    _heading = 'LinkName'

    def forward_preprocess(self, args):
        self._start(args.link.xp)

    def forward_postprocess(self, args):
        self._stop(args.link.xp, type(args.link).__name__)
