"""Every reason that a condition or an Event of ours may have, what it means and what to do; the page made of it.

``python -m pfpnas_operator.documents.reasons`` prints the page, which is docs/reasons.md. A test holds the table
against the code: no decision has a reason that is not here.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from pfpnas_operator.reconcile import deadlines
from pfpnas_operator.reconcile.measuring import ADVICE


class Reason(NamedTuple):
    """What a reason means, and what whoever reads it can do."""

    meaning: str
    remedy: str = ""


def _minutes(of: str) -> str:
    return f"{int(getattr(deadlines, of).total_seconds() // 60)} min"


def _hours(of: str) -> str:
    return f"{int(getattr(deadlines, of).total_seconds() // 3600)} h"


def _begun(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"


_DAYS = f"{deadlines.WAIT_DEADLINE.days} days"

PODS: Final[Mapping[str, Reason]] = {
    "Queued": Reason("Its Job is suspended until its queue (Kueue) admits it. No deadline counts.", "See the queue."),
    "Pending": Reason(
        f"Its pod is being started. Given up after {_minutes('PENDING_DEADLINE')}.",
        "`kubectl describe` the pod: a volume or a large image may be on its way.",
    ),
    "Unschedulable": Reason(
        f"No node has room for its pod, in the scheduler's words. Given up after {_hours('UNSCHEDULABLE_DEADLINE')}.",
        "Ask for less in `podTemplate.resources`, correct `nodeSelector` and `tolerations`, or add nodes.",
    ),
    "JobRefused": Reason(
        "The API server doesn't take its Job: a quota of Jobs, or an admission webhook, in its words. It is tried "
        f"again and again, and given up after {_hours('UNSCHEDULABLE_DEADLINE')}.",
        "Ask who set the quota or the policy; what is changed in the spec is tried at once.",
    ),
    "NoPod": Reason(
        "Its Job can't make its pods: a quota on cpu or GPUs, a LimitRange, Pod Security, in the Job controller's "
        f"words. Given up after {_hours('UNSCHEDULABLE_DEADLINE')}.",
        "Ask for less in `podTemplate.resources`, or for more of the quota; `kubectl describe job` says the rest.",
    ),
    "ImagePullBackOff": Reason(
        f"The image can't be pulled. Given up after {_minutes('BROKEN_DEADLINE')}.",
        "Check `trialTemplate.image` or the operator's `images`, and `pullSecrets`.",
    ),
    "InvalidImageName": Reason("The image's name is none. As above.", "Correct it."),
    "ErrImageNeverPull": Reason("The image is not on the node and may not be pulled. As above.", "Load it there."),
    "ImageInspectError": Reason("The image is damaged on the node. As above.", "Remove it there."),
    "CreateContainerConfigError": Reason("Something the pod refers to is missing. As above.", "See the message."),
    "CreateContainerError": Reason("The container can't be made. As above.", "See the message."),
    "RunContainerError": Reason("The container can't be started. As above.", "See the message."),
    "Terminating": Reason(
        "Its Job was deleted or its pod evicted, but the pod has not ended, so that it can't be made again yet. "
        f"Given up after {_hours('TERMINATING_DEADLINE')}.",
        "If their node is lost, delete the node.",
    ),
    "Interrupted": Reason(
        "Its pod was evicted, preempted or stopped. It is started again, after pauses that grow to "
        f"{_minutes('LONGEST_PAUSE')}; no attempt is counted. {deadlines.MOST_INTERRUPTIONS} in a row, none of them "
        f"followed by {_minutes('STEADY')} of running, end it.",
        "A `priorityClassName`, or other nodes.",
    ),
}
"""Of conditions that tell of a pod: Trained, PredictorReady, Searching, Built, and those that sum up."""

_RELEASE = "[Trouble with the release itself](operations.md#trouble-with-the-release-itself)."

SUPERNET: Final[Mapping[str, Mapping[str, Reason]]] = {
    "Accepted": {
        "Valid": Reason("It makes sense."),
        "Invalid": Reason("The API server let it pass, but it is none.", "The message names the field."),
    },
    "Trained": {
        "Training": Reason("The Job `<name>-pretrain` runs; see `status.progress`."),
        "Trained": Reason("The weights are there."),
        "Suspended": Reason("`spec.suspend` is true."),
        "RedisAway": Reason(
            "Redis can't be reached, or refuses (status Unknown): how far its Job is can't be heard, and none is "
            "started, but one that runs goes on, what it leaves is taken up, and `spec.suspend` is obeyed. No deadline "
            "counts.",
            _RELEASE,
        ),
        "StoreAway": Reason(
            "The artifact store can't be reached, or refuses (status Unknown): nothing is decided, but `spec.suspend` "
            "is obeyed. No deadline counts.",
            _RELEASE,
        ),
    },
    "PredictorReady": {
        "Fitting": Reason("The Job `<name>-predictor` evaluates subnets."),
        "Fitted": Reason("The predictor is there; the message says how good it is."),
        "Suspended": Reason("`spec.suspend` is true."),
        "RedisAway": Reason("As of Trained."),
        "StoreAway": Reason("As of Trained."),
    },
    "Suspended": {
        "Suspended": Reason("Its Jobs are stopped; what was trained is kept."),
        "Resumed": Reason("It goes on where it was."),
        "Ended": Reason("There is nothing to suspend: it is ready or has failed."),
    },
    "Ready": {
        "Ready": Reason("Experiments can use it. While they can't, the reason is that of the stage under way."),
    },
    "Failed": {
        "BadInput": Reason(
            "The data or the spec are at fault.", "The message says which; once the spec is changed it is tried again."
        ),
        "BadArchitecture": Reason("As BadInput."),
        "BadManifest": Reason("A Job ended well and left nothing of use, or what can't be read.", "See its log."),
        "JobFailed": Reason(
            f"A Job failed {deadlines.MOST_ATTEMPTS} times, or as often said nothing new for "
            f"{_minutes('STALL_DEADLINE')}.",
            "See its log.",
        ),
    },
}

EXPERIMENT: Final[Mapping[str, Mapping[str, Reason]]] = {
    "Accepted": {
        "Valid": Reason("It makes sense, and its namespace may use the pool."),
        "Invalid": Reason("The API server let it pass, but it is none.", "The message names the field."),
        "PoolNotAllowed": Reason(
            f"Its namespace may not use the pool: nothing is started. Fails after {_DAYS}.",
            "Who runs the operator lists the namespace under `pools` of the Helm values.",
        ),
    },
    "SupernetReady": {
        "Ready": Reason("The Supernet can be searched."),
        "Waiting": Reason("It is being trained (status Unknown); it has deadlines of its own."),
        "NotFound": Reason(f"There is none of that name. Fails after {_DAYS} (SupernetNotFound).", "Apply it."),
        "SupernetFailed": Reason(f"It has failed. Fails after {_DAYS}.", "See its conditions; make it anew."),
    },
    "AgentsAvailable": {
        "Heartbeat": Reason("So many agents of the pool are heard."),
        "NoHeartbeat": Reason(
            f"None is heard; what lies on the road waits. Fails after {_DAYS} (WaitingForAgents).",
            "Is an agent running, and does it reach Redis? `pfpnas agents list -n pfpnas`; else its log says "
            "`Redis is away`.",
        ),
        "AgentsRefuse": Reason(
            "Those that are heard refuse its tasks, though trials succeeded before: tasks are held back until an "
            f"agent that takes them is back. Who refused is asked again every few minutes. Fails after {_DAYS}.",
            "Start the others; or mend what the message names, in the file of the agent that refuses.",
        ),
        "NotClaimed": Reason(
            f"Those that are heard take none of its tasks, though all were free for {_minutes('CLAIM_DEADLINE')}, or "
            f"busy with one thing for {_hours('BUSY_DEADLINE')}: their hearts beat, but they ask for nothing. Fails "
            f"after {_DAYS}.",
            "Their own logs. `Redis refuses` names a right that is lacking: let them join anew (`pfpnas agents add "
            "NAME --pool P --rotate`); else start them again.",
        ),
        "NotNeeded": Reason("The trials' image measures by itself."),
    },
    "Searching": {
        "Searching": Reason("Trials are started and measured."),
        "BuildingReference": Reason("The smallest subnet is being built: every latency is measured beside its."),
        "TrialRefused": Reason(
            "The API server takes no further Trial: a quota of them, or an admission webhook, in its words. What is "
            "under way is measured. It is tried again and again, and the search fails if none could be made for "
            f"{_hours('UNSCHEDULABLE_DEADLINE')}.",
            "Ask who set the quota or the policy: finished Trials count too.",
        ),
        "WaitingForWarmStart": Reason("A search of `warmStartFrom` goes on (status Unknown)."),
        "WarmStartNotFound": Reason(f"One of `warmStartFrom` is not there. Fails after {_DAYS}.", "Apply it."),
        "WarmStartInTurn": Reason(f"Two wait for each other. Fails after {_DAYS}.", "Take one out of the other's."),
        "WarmStartMismatch": Reason(f"One searched other nets. Fails after {_DAYS}.", "Take it out."),
        "Suspended": Reason("`spec.suspend` is true."),
        "RedisAway": Reason(
            "Redis can't be reached, or refuses (status Unknown): nothing is decided, but `spec.suspend` is obeyed. "
            "What agents measure goes on. No deadline counts.",
            _RELEASE,
        ),
        "StoreAway": Reason(
            "The same of the artifact store. A Job that needs it fails after a minute, and is tried again when it is "
            "back.",
            _RELEASE,
        ),
        "BudgetSpent": Reason("All `budget.maxTrials` were started and are done.", "Raise it, and it goes on."),
        "DurationSpent": Reason(
            "`budget.maxDurationSeconds` are over; time in suspension is not counted.", "Raise it, and it goes on."
        ),
        "GoalReached": Reason("A trial reached `objective.goal`.", "Raise or remove it, and it goes on."),
        "Converged": Reason("The front no longer grows (`budget.convergence`).", "Relax it, and it goes on."),
        "SpaceExhausted": Reason("Every architecture was tried."),
        "NoFeasibleArchitecture": Reason("None meets the limits; the closest is named.", "Relax a limit."),
    },
    "Suspended": {
        "Suspended": Reason("Nothing is started and no Job kept; what agents measure is still taken in."),
        "Resumed": Reason("It goes on where it was."),
        "Ended": Reason("There is nothing to suspend: it has ended."),
    },
    "Succeeded": {
        "Accepted": Reason("It was seen, and nothing is known yet."),
        "SupernetNotFound": Reason("As SupernetReady: NotFound."),
        "WaitingForSupernet": Reason("As SupernetReady: Waiting."),
        "WaitingForAgents": Reason("As AgentsAvailable: NoHeartbeat."),
        "MeasuringFinalists": Reason("The search is over; the best are measured again and scored on the test split."),
    },
    "Failed": {
        "TooManyFailedTrials": Reason(
            "More than `budget.maxFailedTrials` failed.", "See why; raise it, and it goes on."
        ),
        "NoTrialSucceeded": Reason("Not one trial could be measured.", "See `kubectl get nt -o wide`."),
        "NoReference": Reason("A limit is relative to a model that nobody measures.", "Use `max`."),
        "SupernetReplaced": Reason("The Supernet was deleted and made anew in mid-search.", "Make a new experiment."),
        "JobFailed": Reason(f"The tuner or a worker died {deadlines.MOST_ATTEMPTS} times.", "See its log."),
        "BadInput": Reason("The tuner refused its input.", "See its message."),
        "BuildFailed": Reason("The reference model can't be built.", "See the log of its Job."),
        "BadManifest": Reason(
            "As of a trial, and already for the reference model.",
            "[What an image leaves](trial-image.md#what-it-leaves).",
        ),
        "BadFigures": Reason(
            "As of a trial, and already for the reference model.",
            "[What an image leaves](trial-image.md#what-it-leaves).",
        ),
        **{
            reason: Reason(
                f"Every agent of the pool says so, and no trial has succeeded: {ADVICE[reason].partition(': ')[0]}.",
                f"{_begun(ADVICE[reason].partition(': ')[2])}.",
            )
            for reason in (
                "ClassMismatch",
                "DatasetUnreadable",
                "NamespaceRefused",
                "ProviderFallback",
                "UnknownBackend",
                "UnknownDataset",
            )
        },
    },
}

_REMEDIES: Final[Mapping[str, str]] = {
    "MeasurementTimeout": "Raise `target.measurement.deadlineSeconds`, or lower `maxSeconds` there.",
    "OutOfMemory": "Lower resolutions or a narrower space; or its owner raises `limits.memory` in the agent's file.",
    "UnsupportedOperator": "Another backend, or a newer one.",
    "BackendFailed": "Ask the device's owner for that log.",
    "BadModel": "With an image of your own: [what an image leaves](trial-image.md#what-it-leaves). Else see the log of "
    "the agent.",
    "BlobMissing": _RELEASE,
    "DeviceUnavailable": "Its owner frees the device of other work.",
}
"""For failures whose meaning says none."""

TRIAL: Final[Mapping[str, Mapping[str, Reason]]] = {
    "Accepted": {
        "ExperimentNotFound": Reason("`experimentRef` names none.", "Apply the experiment: it is measured then."),
        "NotItsOwn": Reason("It has a name, index or origin of the search's own trials.", "Make it anew without."),
    },
    "Built": {
        "WaitingForSearch": Reason("The search has not begun; see the experiment."),
        "Building": Reason("Its model is being sliced and written."),
        "Built": Reason("Its model is in the store."),
        "SelfMeasured": Reason("Its image measured it by itself and left no model."),
    },
    "Measured": {
        "Queued": Reason(
            "It waits for an agent of the pool. No deadline counts while one is busy; that none is there, or takes it, "
            "the experiment says (AgentsAvailable).",
            "`pfpnas agents list -n pfpnas`. An agent measures one candidate at a time: the last `task claimed` in its "
            "log names namespace and experiment of what it has.",
        ),
        "Measuring": Reason("An agent measures it; `target.measurement.deadlineSeconds` count from here."),
        "Measured": Reason("Its figures are there."),
        "SelfMeasured": Reason("They are its image's."),
    },
    "Succeeded": {
        "WaitingForAgent": Reason("As Measured: Queued."),
        "Repeating": Reason("It is measured a second time, so that the noise is known."),
        "Scored": Reason("It keeps every limit."),
        "InfeasibleByConstraint": Reason("It was measured, and breaks a limit; the message says which."),
    },
    "Failed": {
        "BadArchitecture": Reason("It is none of the search space.", "See the message."),
        "BadManifest": Reason(
            "What its image left can't be used: no manifest, a model that is not in the store or has an impossible "
            "size, or otherwise than for the reference model.",
            "See the message, and [what an image leaves](trial-image.md#what-it-leaves).",
        ),
        "BadFigures": Reason(
            "Its image left figures that can't be true.", "[What an image leaves](trial-image.md#what-it-leaves)."
        ),
        "BuildFailed": Reason(f"Its build failed {deadlines.MOST_ATTEMPTS} times.", "See the log of its Jobs."),
        "MetricUnavailable": Reason("A limited metric was not measured.", "Another backend, or no such limit."),
        "Poisoned": Reason(
            f"{deadlines.MOST_ATTEMPTS} agents took it and were lost or late: it may be what kills them.",
            "The log of these agents, and the system's of their device. `limits.memory` in the agent's file makes a "
            "candidate fail that would take the device's whole memory.",
        ),
        "NoUsableAnswer": Reason(
            "Its agents answered by nothing that can be true.",
            "Look at these agents; the Events `ResultRefused` say why.",
        ),
        "Withdrawn": Reason("The experiment ended before it was measured; no failure of its own."),
        **{
            reason: Reason(f"{_begun(text)}.", _REMEDIES[reason])
            for reason, text in ADVICE.items()
            if reason not in EXPERIMENT["Failed"]
        },
    },
}

ENDINGS: Final[Mapping[str, Reason]] = {
    "NoAccuracy": Reason("The agent gave no accuracy."),
    "SelfMeasured": Reason("Its image left no model to measure."),
}
"""Reasons in `status.finalists` and `status.evaluations`, beside those of trials."""

EVENTS: Final[Mapping[str, Reason]] = {
    "Searching": Reason("The search has begun."),
    "Measured": Reason("A trial's figures."),
    "Succeeded": Reason("The experiment ended; its best is named."),
    "WarmStart": Reason("What other searches found is measured first; what is of another space is left out."),
    "BudgetRaised": Reason("It goes on after its end."),
    "TriedAgain": Reason("It had failed, and its spec was changed since, if only by suspending and resuming it."),
    "GoalRaised": Reason("It goes on after its end."),
    "ConvergenceRelaxed": Reason("It goes on after its end."),
    "TrialAdded": Reason("A trial by hand came after the end: it is measured too."),
    "FinalistsAdded": Reason("More of the best are measured again after the end."),
    "InUse": Reason("A Supernet that is searched was deleted: it goes once the searches have ended."),
    "ReconcileFailed": Reason("The operator met an error, and tries again after a pause.", "Its log has the rest."),
    "SupernetLost": Reason("The Supernet is gone in mid-search.", "Bring it back: what was measured is kept."),
    "ResultRefused": Reason("An agent answered what can't be true or nobody asked.", "Look at that agent."),
    "JobFailed": Reason("A Job is started again; the message says why it ended."),
    "AgentRefused": Reason(
        "One agent of several does not take the experiment's tasks; those that may are asked. All of them: it fails.",
        "`pfpnas-agent check` where that agent is.",
    ),
}
"""Events beside those that carry a condition's reason."""

_HEAD = """\
# Conditions and their reasons

<!-- Generated from pfpnas_operator.documents.reasons by
`uv run python -m pfpnas_operator.documents.reasons > docs/reasons.md`: don't edit. -->

`kubectl get sn,nas,nt` shows as STATE the reason of the condition that sums up: `Ready` of a Supernet, `Succeeded` of
an experiment and of a trial; with `-o wide` its message too. `kubectl describe` shows them all. A transition that
somebody may have to do something about is an Event as well.

A Supernet or an experiment that has failed is tried again once its spec is changed, if only by suspending and resuming
it. Not so for what was measured: `NoFeasibleArchitecture`, `NoTrialSucceeded`, `SupernetReplaced`, and
`TooManyFailedTrials`, which goes on when `budget.maxFailedTrials` is raised.

Every wait has a deadline, but for four: a Job in its queue (Kueue), a task whose agents are busy with others, what
another resource waits for under deadlines of its own, and Redis or the artifact store being away (`RedisAway`,
`StoreAway`), without which nothing can be decided. `budget.maxDurationSeconds` bounds a search as a whole. Time in
suspension counts nowhere. What was refused as it is (`Invalid`, `ExperimentNotFound`, `NotItsOwn`) waits for its
author; nothing runs for it.
"""


_GIVEN_UP = "Beside these: the reason of any wait that was given up, once its deadline is over.\n"


def page() -> str:
    """docs/reasons.md."""
    parts = [_HEAD, "## Of every condition that tells of a pod\n", _table(PODS)]
    for title, kind in (("Supernet", SUPERNET), ("NASExperiment", EXPERIMENT), ("Trial", TRIAL)):
        for condition, reasons in kind.items():
            parts += [f"## {title}: {condition}\n", *([_GIVEN_UP] if condition == "Failed" else []), _table(reasons)]
    parts += ["## In `status.finalists` and `status.evaluations`\n", _table(ENDINGS)]
    parts += ["## Events beside these\n", _table(EVENTS)]
    return "\n".join(parts)


def _table(reasons: Mapping[str, Reason]) -> str:
    rows = [f"| `{name}` | {reason.meaning} | {reason.remedy} |" for name, reason in reasons.items()]
    return "\n".join(["| Reason | Meaning | What to do |", "| --- | --- | --- |", *rows, ""])


def known() -> frozenset[str]:
    """Every reason of the page."""
    kinds = [*SUPERNET.values(), *EXPERIMENT.values(), *TRIAL.values(), PODS, ENDINGS, EVENTS]
    return frozenset(reason for reasons in kinds for reason in reasons)


if __name__ == "__main__":
    print(page(), end="")
