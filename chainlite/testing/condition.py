"""Tests with a chance: repeated or tried again."""

import functools
import traceback
import unittest


class QuietTestRunner:
    """Runs a test suite without printing anything."""

    def run(self, suite):
        """Runs the suite and returns its TestResult."""
        result = unittest.TestResult()
        suite(result)
        return result


def repeat_with_success_at_least(times, min_success):
    """Decorator of a test method that runs up to ``times`` times and passes if ``min_success`` of the runs do.

    It stops as soon as the outcome is known. A skip ends it at once.
    """
    assert times >= min_success

    def decorate(method):
        @functools.wraps(method)
        def test(self, *args, **kwargs):
            successes, errors = 0, []
            while successes < min_success and len(errors) <= times - min_success:
                try:
                    method(self, *args, **kwargs)
                    successes += 1
                except unittest.SkipTest:
                    raise
                except Exception as e:
                    errors.append(''.join(traceback.format_exception(type(e), e, e.__traceback__)))
            if successes < min_success:
                raise AssertionError(
                    f'\nFail: {len(errors)}, Success: {successes}\n\nThe first error message:\n{errors[0]}'
                )

        return test

    return decorate


def repeat(times):
    """Decorator of a test method that must pass ``times`` times in a row."""
    return repeat_with_success_at_least(times, times)


def retry(times):
    """Decorator of a test method that must pass once in at most ``times`` runs."""
    return repeat_with_success_at_least(times, 1)
