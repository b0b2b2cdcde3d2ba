import sys

from chainlite.training.extension import Extension
from chainlite.training.extensions.log_report import LogReport


class PrintReport(Extension):
    """Prints logged values as a table.

    Args:
        entries: Names of the values: the columns.
        log_report: LogReport, or the name of one in the trainer. One that is not in the trainer is called by this
            extension.
        out: Stream.
    """

    def __init__(self, entries, log_report='LogReport', out=sys.stdout):
        self._entries = entries
        self._log_report = log_report
        self._out = out
        self._log_len = 0  # number of lines printed
        widths = [max(10, len(entry)) for entry in entries]
        self._header = '  '.join(f'{entry:{width}}' for entry, width in zip(entries, widths)) + '\n'
        self._templates = [(entry, f'{{:<{width}g}}  ', ' ' * (width + 2)) for entry, width in zip(entries, widths)]

    def __call__(self, trainer):
        if self._header:
            self._out.write(self._header)
            self._header = None
        log_report = self._log_report
        if isinstance(log_report, str):
            log_report = trainer.get_extension(log_report)
        elif isinstance(log_report, LogReport):
            log_report(trainer)
        else:
            raise TypeError(f'log report has a wrong type {type(log_report)}')
        for line in log_report.log[self._log_len :]:
            self._out.write('\033[J')  # what a progress bar has left below
            self._print(line)
        self._log_len = len(log_report.log)

    def _print(self, values):
        for entry, template, empty in self._templates:
            self._out.write(template.format(values[entry]) if entry in values else empty)
        self._out.write('\n')
        if hasattr(self._out, 'flush'):
            self._out.flush()

    def serialize(self, serializer):
        """Saves or loads a LogReport that is not in the trainer."""
        if isinstance(self._log_report, LogReport):
            self._log_report.serialize(serializer['_log_report'])
