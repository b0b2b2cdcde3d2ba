"""Categories of warnings."""


class PerformanceWarning(RuntimeWarning):
    """Something works but is slower than it could be."""
