"""Packages of the extra ``bench``: what benchmarks compare with, which need not be installed."""

from importlib.metadata import PackageNotFoundError, version

from processors.common.errors import NearstreamError


def require(package: str) -> None:
    """Check that a package is installed.

    Parameters
    ----------
    package
        Its name on PyPI.

    Raises
    ------
    NearstreamError
        If it is not, with what to do.

    Examples
    --------
    >>> require("numpy")
    >>> require("no-such-package")
    Traceback (most recent call last):
        ...
    processors.common.errors.NearstreamError: no-such-package is not installed: pip install 'nearstream[bench]'
    """
    try:
        version(package)
    except PackageNotFoundError as error:
        raise NearstreamError(f"{package} is not installed: pip install 'nearstream[bench]'") from error
