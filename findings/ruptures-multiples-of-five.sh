#!/usr/bin/env bash
# ruptures 1.1.10: every search looks at multiples of five only (jump=5 by default), so that a change without noise at step 33
# is reported at 35, and by Pelt, whose search is said to be exact, as two changes, at 30 and 35.
#
# Expected: the exact step, since the cost is zero there alone. Documented as "subsample (one every jump points)", a default of all
# searches but KernelCPD. For weeks of a user's history five steps are more than a month.
# What to do: jump=1. Run on 2026-11-30.
source "$(dirname "$0")/run.bash"

program=$(cat <<'PYTHON'
from importlib.metadata import version

import numpy as np
import ruptures

signal = np.repeat([0.0, 5.0], [33, 67])[:, None]
print("ruptures", version("ruptures"))
for search, how in ((ruptures.Binseg, {"n_bkps": 1}), (ruptures.Dynp, {"n_bkps": 1}), (ruptures.Pelt, {"pen": 3})):
    default, exact = (
        [int(step) for step in search(model="l2", **options).fit(signal).predict(**how)] for options in ({}, {"jump": 1})
    )
    print(f"{search.__name__}: {default}, with jump=1: {exact}")
PYTHON
)

expected=$(cat <<'TEXT'
ruptures 1.1.10
Binseg: [35, 100], with jump=1: [33, 100]
Dynp: [35, 100], with jump=1: [33, 100]
Pelt: [30, 35, 100], with jump=1: [33, 100]
TEXT
)

finding "ruptures==1.1.10 numpy==2.4.6 scipy==1.17.1" "$program" "$expected"
