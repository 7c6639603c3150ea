"""River's ADWIN, and what is not loaded with it."""

import subprocess
import sys

PROGRAM = """
import sys
from processors.common.river_adwin import ADWIN
assert not {"scipy", "river.drift", "river.drift.kswin"} & set(sys.modules), sorted(sys.modules)
import river
assert not hasattr(river, "drift")
import river.drift
assert river.drift.ADWIN is ADWIN
assert "scipy.stats" in sys.modules, "River's package has become light: load it as it is"
"""

BOTH_WAYS = """
import river.drift
from processors.common.river_adwin import ADWIN
assert river.drift.ADWIN is ADWIN
"""


def test_it_is_loaded_alone_and_is_what_the_package_offers() -> None:
    subprocess.run([sys.executable, "-c", PROGRAM], check=True, timeout=300)


def test_the_package_may_have_been_loaded_before() -> None:
    subprocess.run([sys.executable, "-c", BOTH_WAYS], check=True, timeout=300)
