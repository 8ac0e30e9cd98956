"""hyperopt's algorithms by ask and tell, over the genes of a search space.

Every gene is the index of its value, which keeps the order of the values. A gene that means nothing in an architecture
is left out of its record, so that the model of a gene learns only from trials in which it acted.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Final, NoReturn, TypeAlias

import numpy as np
from hyperopt import JOB_STATE_DONE, JOB_STATE_RUNNING, STATUS_NEW, STATUS_OK, Domain, Trials, hp
from numpy.typing import ArrayLike

from pfpnas_api.spaces import Architecture, GeneMatrix, SearchSpace, canonical
from pfpnas_workloads.tuning._base import Foresee, Observation, Tuner, fresh_seed

Document: TypeAlias = dict[str, Any]
"""One of hyperopt's trials."""

Choices: TypeAlias = Mapping[str, ArrayLike]
"""By gene: the index of its value in each of some draws, `(draws,)`, as a float."""

_STATES: Final = {True: (JOB_STATE_DONE, STATUS_OK), False: (JOB_STATE_RUNNING, STATUS_NEW)}
"""By whether there is a loss. Never JOB_STATE_ERROR: hyperopt forgets such trials, and proposes them again."""


class HyperoptTuner(Tuner):
    """A tuner that is one of hyperopt's algorithms."""

    def __init__(self, space: SearchSpace, *, seed: int) -> None:
        super().__init__(space, seed=seed)
        self.counts = {gene.name: len(gene.values) for gene in space.genes() if len(gene.values) > 1}
        # Half a step beyond both ends, so that rounding gives every value the same share.
        labels = {name: hp.quniform(name, *ends(count), 1) for name, count in self.counts.items()}
        self.domain = Domain(_never_evaluated, labels) if labels else None

    @abstractmethod
    def ask(self, new_id: int, domain: Domain, trials: Trials, seed: int) -> list[Document]:
        """One of hyperopt's `suggest` functions: one document for one new id."""

    @abstractmethod
    def ask_many(self, count: int, domain: Domain, trials: Trials, seed: int) -> Choices:
        """`count` independent draws, each as `ask` would draw it after the same trials."""

    def suggest(self, index: int, history: Sequence[Observation], *, draw: int = 0) -> Architecture:
        if self.domain is None:
            return self.space.minimum()  # there is no other
        seed = fresh_seed(self.seed, index, purpose=f"draw {draw}")
        (document,) = self.ask(len(history), self.domain, self.trials(history), seed)
        (row,) = self._matrix(document["misc"]["vals"], count=1)
        return self.space.from_genes(row.tolist())

    def draws(self, count: int, history: Sequence[Observation], *, seed: int, foresee: Foresee) -> GeneMatrix:
        if self.domain is None:
            return self._matrix({}, count=count)
        return self._matrix(self.ask_many(count, self.domain, self.trials(history), seed), count=count)

    def trials(self, history: Sequence[Observation]) -> Trials:
        """A history in hyperopt's form, in the same order, without scores of other weights."""
        command = self.domain.cmd if self.domain else None
        trials = Trials()
        documents = []
        for number, observation in enumerate(one for one in history if not one.stale):
            state, status = _STATES[observation.loss is not None]
            result = {"status": status} | ({} if observation.loss is None else {"loss": observation.loss})
            choices = self._choices(number, observation) | {"cmd": command}
            (document,) = trials.new_trial_docs([number], [None], [result], [choices])
            documents.append(document | {"state": state})
        trials.insert_trial_docs(documents)
        trials.refresh()
        return trials

    def _choices(self, number: int, observation: Observation) -> Document:
        """What was chosen, in hyperopt's form: per label a list of one, or of none where the gene is inactive."""
        architecture = observation.architecture
        rows = zip(self.space.genes(), self.space.to_genes(architecture), self.space.active(architecture), strict=True)
        values = {gene.name: [float(at)] if acts else [] for gene, at, acts in rows if gene.name in self.counts}
        ids = {name: [number] * len(value) for name, value in values.items()}
        return {"tid": number, "workdir": None, "idxs": ids, "vals": values}

    def _matrix(self, choices: Choices, *, count: int) -> GeneMatrix:
        """Draws as canonical rows, `(count, genes)`."""
        matrix = np.zeros((count, len(self.space.genes())), np.int8)
        for column, gene in enumerate(self.space.genes()):
            if gene.name in choices:
                matrix[:, column] = np.clip(np.rint(choices[gene.name]), 0, len(gene.values) - 1)
        return canonical(self.space, matrix)


def ends(count: int) -> tuple[float, float]:
    """Between which numbers a gene of `count` values is drawn before it is rounded."""
    return -0.5, count - 0.5


def _never_evaluated(_: object) -> NoReturn:
    raise AssertionError("trials are run elsewhere")
