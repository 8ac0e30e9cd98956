"""How long a state may last before it is given up, and how often a thing is tried."""

from datetime import timedelta

MOST_ATTEMPTS = 3
"""A build or a measurement that failed so often for no fault of its own is given up: it may be what kills its host."""

MOST_REFUSALS = 20
"""Times that a task which agents refused is put on the road again at once, since others might take it: whoever asks
first gets it, but twenty times in a row it is not the same one that does. After that only every `REFUSAL_PAUSE`."""

REFUSAL_PAUSE = timedelta(seconds=30)
"""After a refusal, before a task is put on the road though no agent that may take it is idle: who refused asks again at
once, and would have it."""

DEVICE_PARDON = timedelta(minutes=3)
"""After it, an agent whose device was away is asked again."""

REFUSAL_PARDON = timedelta(minutes=15)
"""After it, an agent that refused for its file or its data is asked again: somebody may have mended them."""

STALL_DEADLINE = timedelta(minutes=30)
"""A training Job that says nothing new for so long hangs: one epoch of the largest spaces stays under it."""

CLAIM_DEADLINE = timedelta(minutes=15)
"""For workers that are up to take a build, and agents that are free to take a task: they ask for one all the time."""

BUSY_DEADLINE = timedelta(days=1)
"""For an agent that is busy, and holds no task of this experiment, to be done with what it does: a measurement for
another search takes an hour at most, and the largest data sets are prepared within it on the slowest devices."""

STEADY = timedelta(minutes=10)
"""A Job of the experiment's own that stays up so long is forgiven its earlier deaths."""

SUGGESTION_DEADLINE = timedelta(minutes=5)
"""The slowest tuner needs seconds for a suggestion."""

ANSWER_GRACE = timedelta(seconds=10)
"""Between an acknowledgement and its result's arrival: both are on their way at once."""

CLAIM_GRACE = timedelta(seconds=20)
"""Beyond a measurement's own deadline, which the agent keeps by itself: for its journal and the way back, and after an
outage for its return, which takes it up to 15 s."""

PENDING_DEADLINE = timedelta(minutes=30)
"""For a pod that has a node but does not start: the largest images over a slow link, volumes that have to be moved."""

BROKEN_DEADLINE = timedelta(minutes=10)
"""For a pod whose image or configuration is not there: a registry comes back within it, a wrong name does not."""

UNSCHEDULABLE_DEADLINE = timedelta(hours=24)
"""For a pod that no node or no quota has room for: other work ends, or more is given. The condition says so from the
start."""

TERMINATING_DEADLINE = timedelta(hours=24)
"""For the pods of a deleted Job to end: those of a node that is lost stay until somebody removes the node."""

WAIT_DEADLINE = timedelta(days=7)
"""For what only people can bring: a Supernet of the name, an agent of the pool, the right to use it. A Supernet that is
being trained, and a search that is waited for, have deadlines of their own."""

MOST_INTERRUPTIONS = 20
"""Interruptions in a row, none of them followed by `STEADY` of running, after which a Job is given up."""

FIRST_PAUSE = timedelta(seconds=10)
"""Before a Job is started again that was interrupted for the second time in a row; doubled each time after."""

LONGEST_PAUSE = timedelta(minutes=10)
"""With it, twenty interruptions in a row take more than two hours: nodes are drained and upgraded within that."""
