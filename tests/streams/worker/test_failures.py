"""The table of failures: each error has its remedy, and whatever is not in it ends the process."""

import pytest

from processors.common import errors
from streams.worker import failures
from streams.worker.failures import Remedy, remedy_of


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (errors.DeliveryGap("a", 3, 2, 4), Remedy.SEEK_BACK),
        (errors.FencedError(), Remedy.TAKE_OVER_AGAIN),
        (errors.StuckTransactionError(), Remedy.TAKE_OVER_AGAIN),
        (errors.CorruptStoreError(), Remedy.REBUILD),
        (errors.NoRoomError(), Remedy.WAIT_FOR_ROOM),
        (errors.StateError(), Remedy.END),
        (errors.StateFormatError(), Remedy.END),
        (errors.LockedStoreError(), Remedy.END),
        (errors.ConfigurationError(), Remedy.END),
        (OSError(28, "No space left on device"), Remedy.END),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else value.name,
)
def test_an_error_has_its_remedy(error: Exception, remedy: Remedy) -> None:
    assert remedy_of(error) is remedy


def test_the_text_names_every_error_and_remedy_that_the_code_follows() -> None:
    assert failures.__doc__ is not None
    for error in failures._REMEDIES:
        assert f"``{error.__name__}``" in failures.__doc__
    for remedy in Remedy:
        assert f":attr:`Remedy.{remedy.name}`" in failures.__doc__
