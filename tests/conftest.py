"""A summary by part: the folders of tests/, and the files that lie directly in it."""

from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parent


def part_of(nodeid):
    """'tests/functions/test_relu.py::test_x' -> 'functions'; 'tests/test_floors.py::test_x' -> 'floors'."""
    path = Path(nodeid.split('::')[0])
    parts = path.parts[1:] if path.parts[:1] == (ROOT.name,) else path.parts
    return parts[0] if len(parts) > 1 else path.stem.removeprefix('test_')


def pytest_terminal_summary(terminalreporter):
    counts = {}
    for outcome, reports in terminalreporter.stats.items():
        column = {'error': 'failed', 'xpassed': 'failed', 'xfailed': 'skipped'}.get(outcome, outcome)
        if column not in ('passed', 'failed', 'skipped'):
            continue
        for report in reports:
            nodeid = getattr(report, 'nodeid', '')
            if '.py' in nodeid:  # not an error of a worker process
                counts.setdefault(part_of(nodeid), Counter())[column] += 1
    if not counts:
        return
    width = max(map(len, [*counts, 'part']))
    terminalreporter.section('summary by part')
    terminalreporter.write_line(f'{"part":{width}}  passed  failed  skipped')
    for part, count in sorted(counts.items()):
        line = f'{part:{width}}  {count["passed"]:6}  {count["failed"]:6}  {count["skipped"]:7}'
        terminalreporter.write_line(line, red=bool(count['failed']))
