import copy
import warnings

from chainlite import backend, reporter
from chainlite.configuration import using_config
from chainlite.dataset import convert
from chainlite.dataset.iterator import Iterator
from chainlite.function import no_backprop_mode
from chainlite.link import Link
from chainlite.training.extension import PRIORITY_WRITER, Extension
from chainlite.training.extensions import util
from chainlite.utils import argument


class Evaluator(Extension):
    """Reports the means of what a model reports on a validation set, without training it.

    The values get the prefix ``validation/main/``. ``config.train`` is False meanwhile and no graph is built.

    Args:
        iterator: Iterator of the validation data that does not repeat, or a dictionary of iterators with one named
            ``main``.
        target: Link, or a dictionary of links with one named ``main``.
        converter: Converter from a batch to the arguments of ``eval_func``.
        device: Device that batches are sent to; None leaves them where they are.
        eval_hook: Function of the evaluator, called before each evaluation.
        eval_func: Function of a batch's arrays that reports values; None for the main target.
        progress_bar: Whether to show progress on a terminal.
    """

    trigger = 1, 'epoch'
    default_name = 'validation'
    priority = PRIORITY_WRITER
    name = None

    def __init__(
        self, iterator, target, converter=convert.concat_examples, device=None, eval_hook=None, eval_func=None, **kwargs
    ):
        (self._progress_bar,) = argument.parse_kwargs(kwargs, ('progress_bar', False))
        self._iterators = {'main': iterator} if isinstance(iterator, Iterator) else iterator
        self._targets = {'main': target} if isinstance(target, Link) else target
        self.converter = converter
        self.device = None if device is None else backend.get_device(device)
        self.eval_hook = eval_hook
        self.eval_func = eval_func
        for name, it in self._iterators.items():
            if getattr(it, 'repeat', getattr(it, '_repeat', False)):
                warnings.warn(
                    f'The `repeat` property of the iterator {name!r} is True: an evaluation takes all its '
                    'batches, and would never end. Make the iterator with repeat=False.'
                )

    def get_iterator(self, name):
        """Returns the iterator of a name."""
        return self._iterators[name]

    def get_all_iterators(self):
        """Returns the dictionary from names to iterators."""
        return dict(self._iterators)

    def get_target(self, name):
        """Returns the link of a name."""
        return self._targets[name]

    def get_all_targets(self):
        """Returns the dictionary from names to links."""
        return dict(self._targets)

    def __call__(self, trainer=None):
        """Evaluates, reports the means and returns them; the trainer is not used."""
        own = reporter.Reporter()
        prefix = f'{self.name}/' if self.name is not None else ''
        for name, target in self._targets.items():
            own.add_observer(prefix + name, target)
            own.add_observers(prefix + name, target.namedlinks(skipself=True))
        with own, using_config('train', False):
            result = self.evaluate()
        reporter.report(result)
        return result

    def evaluate(self):
        """Returns the dictionary of means over the batches; for subclasses to override."""
        iterator = self._iterators['main']
        eval_func = self.eval_func or self._targets['main']
        if self.eval_hook:
            self.eval_hook(self)
        if hasattr(iterator, 'reset'):
            iterator.reset()
        else:
            iterator = copy.copy(iterator)
        progress = _IteratorProgressBar(iterator) if self._progress_bar else None
        summary = reporter.DictSummary()
        for batch in iterator:
            observation = {}
            with reporter.report_scope(observation), no_backprop_mode():
                args, kwargs = convert._arguments(self.converter, batch, self.device)
                eval_func(*args, **kwargs)
            summary.add(observation)
            if progress is not None:
                progress.update()
        if progress is not None:
            progress.close()
        return summary.compute_mean()

    def finalize(self):
        """Finalizes the iterators."""
        for iterator in self._iterators.values():
            iterator.finalize()


class _IteratorProgressBar(util.ProgressBar):
    def __init__(self, iterator, bar_length=None, out=None):
        if not (hasattr(iterator, 'current_position') and hasattr(iterator, 'epoch_detail')):
            raise TypeError(
                'Iterator must have the following attributes to enable a progress bar: current_position, epoch_detail'
            )
        super().__init__(bar_length, out)
        self._iterator = iterator

    def get_lines(self):
        iterator = self._iterator
        rate = iterator.epoch_detail
        # The position goes back to 0 at the end.
        length = len(iterator.dataset) if hasattr(iterator, 'dataset') else round(iterator.current_position / rate)
        done = length if rate >= 1 else iterator.current_position
        speed, _ = self.update_speed(done, rate)
        return [
            self._bar('validation', min(rate, 1)),
            f'{done:10} / {length} iterations\n',
            util.speed_line(speed, (length - done) / speed if speed else 0),
        ]
