"""What an optimizer keeps from one update to the next; see ``chainlite._batched_update``."""

from chainlite.link import Link
from chainlite.utils._changes import changes


class Memory:
    """What an optimizer keeps from one update to the next: on a CPU the parameters and how they are updated together,
    on GPUs tables of addresses, and numbers.

    Copies and pickles of an optimizer begin with an empty one.
    """

    def __init__(self):
        self._known, self._used = {}, {}
        self.recorded = None  # the last update that was recorded in a CUDA graph
        self._walk = None, None, []  # the link whose parameters these are, and how far changes had come
        self._batch = None, None  # the batch that all parameters are in

    def __reduce__(self):
        return Memory, ()

    def params(self, link):
        """A list of the parameters of a link."""
        known, mark, params = self._walk
        if known is not link or mark is not changes.mark:
            mark, params = changes.mark, list(link.params())
            if all([type(part).params is Link.params for part in link.links()]):
                self._walk = link, mark, params
        return params

    def batches(self, items):
        """The batch of (parameter, array, gradient), in a list, if it is that of the last update; otherwise none."""
        mark, batch = self._batch
        self._batch = None, None  # should the update fail
        return [batch] if mark is changes.mark and batch.renew(items) else []

    def keep(self, mark, batches, others):
        """Keeps a batch that has been updated, with what had changed before."""
        if mark is changes.mark and not others and len(batches) == 1 and batches[0].keep():
            self._batch = mark, batches[0]

    def kept(self, key, make):
        """What was kept for a key, or something new; the second of the same key in one update is another one."""
        key = (*key, sum([used[:-1] == key for used in self._used]))
        self._used[key] = thing = self._known.get(key) or make()
        return thing

    def table(self, key, rows):
        """A table of these rows of arrays."""
        from chainlite.backends.gpu.multi_tensor import kept_table

        return kept_table(self.kept, key, rows)

    def numbers(self, key, values, dtype):
        """Numbers in the memory of the current device."""
        from chainlite.backends.gpu.multi_tensor import Numbers

        numbers = self.kept(('numbers', *key), Numbers)
        numbers.put(values, dtype)
        return numbers

    def finish(self):
        """Forgets what this update did not use."""
        self._known, self._used = self._used, {}

    def record(self, launches, scalings, alone, late):
        """Keeps what the recorded update will read for it alone."""
        self.recorded = Recorded(launches, scalings, alone, late, list(self._used.values()))
        self._used = {}


class Recorded:
    """An update in a CUDA graph.

    Args:
        launches (list of Launch): What it launches.
        scalings (list of Scaling): What is brought to the GPU for them.
        alone (list of Parameter): Those that are updated alone.
        late (list of Parameter): Those that have no array yet: their rules count, but do nothing.
        kept (list): Tables and numbers.
    """

    def __init__(self, launches, scalings, alone, late, kept):
        self.launches, self.scalings, self.alone, self.late, self.kept = launches, scalings, alone, late, kept

    def check(self):
        """Raises RuntimeError if a replay would not do what an update does."""
        if self.alone:
            names = ', '.join(sorted({str(param.name) for param in self.alone}))
            raise RuntimeError(
                f'this update cannot be replayed: parameters with rules or hooks of their own are in it ({names})'
            )

    def is_current(self):
        """Whether the next update would have the same equations."""
        return all([launch.is_current() for launch in self.launches])

    def count(self):
        """Counts an update in every rule."""
        for launch in self.launches:
            for rule in launch.batch.rules():
                vars(rule)['t'] += 1  # a change that is not noted
        for param in self.late:
            param.update()

    def refresh(self):
        """Brings all numbers, and tables that were listed while the graph was recorded, to the device."""
        for launch in self.launches:
            launch.refresh()
        for scaling in self.scalings:
            scaling.refresh()
        for thing in self.kept:
            thing.upload()
