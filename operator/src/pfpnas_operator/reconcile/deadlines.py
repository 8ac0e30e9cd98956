"""How long a state may last before it is given up, and how often a thing is tried."""

from datetime import timedelta

MOST_ATTEMPTS = 3
"""A build or a measurement that failed so often for no fault of its own is given up: it may be what kills its host."""

BUILD_DEADLINE = timedelta(minutes=15)
"""From the moment a worker claims a build (or its pod starts): an ImageNet-sized slice with recalibration takes one."""

STALL_DEADLINE = timedelta(minutes=30)
"""A training Job that says nothing new for so long hangs: one epoch of the largest spaces stays under it."""

STEADY = timedelta(minutes=10)
"""A Job of the experiment's own that stays up so long is forgiven its earlier deaths."""

SUGGESTION_DEADLINE = timedelta(minutes=5)
"""The slowest tuner needs seconds for a suggestion."""

ANSWER_GRACE = timedelta(seconds=10)
"""Between an acknowledgement and its result's arrival: both are on their way at once."""

CLAIM_GRACE = timedelta(seconds=20)
"""Beyond a measurement's own deadline, which the agent keeps by itself: for its journal and the way back, and after an
outage for its return, which takes it up to 15 s."""
