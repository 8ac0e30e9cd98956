"""hyperopt's algorithms by ask and tell, over the genes of a search space.

Every gene is the index of its value, which keeps the order of the values. A gene that means nothing in an architecture
is left out of its record, so that the model of a gene learns only from trials in which it acted.
"""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Final, NoReturn, TypeAlias

from hyperopt import JOB_STATE_DONE, JOB_STATE_RUNNING, STATUS_NEW, STATUS_OK, Domain, Trials, hp, rand

from pfpnas_api.spaces import Architecture, SearchSpace
from pfpnas_workloads.tuning._base import Observation, Tuner, fresh_seed

Document: TypeAlias = dict[str, Any]
"""One of hyperopt's trials."""

_STATES: Final = {True: (JOB_STATE_DONE, STATUS_OK), False: (JOB_STATE_RUNNING, STATUS_NEW)}
"""By whether there is a loss. Never JOB_STATE_ERROR: hyperopt forgets such trials, and proposes them again."""


class HyperoptTuner(Tuner):
    """A tuner that is one of hyperopt's algorithms; uniform draws until it has something to learn from."""

    def __init__(self, space: SearchSpace, *, seed: int) -> None:
        super().__init__(space, seed=seed)
        choices = {gene.name: len(gene.values) for gene in space.genes() if len(gene.values) > 1}
        # Half a step beyond both ends, so that rounding gives every value the same share.
        self._labels = {name: hp.quniform(name, -0.5, count - 0.5, 1) for name, count in choices.items()}
        self._domain = Domain(_never_evaluated, self._labels) if self._labels else None

    @abstractmethod
    def ask(self, new_id: int, domain: Domain, trials: Trials, seed: int) -> list[Document]:
        """One of hyperopt's `suggest` functions: one document for one new id."""

    def suggest(self, index: int, history: Sequence[Observation], *, draw: int = 0) -> Architecture:
        if self._domain is None:
            return self.space.minimum()  # there is no other
        ask = self.ask if self.origin(index, history) == "Tuner" else _ask_randomly
        trials = self._trials(history, self._domain.cmd)
        (document,) = ask(len(history), self._domain, trials, fresh_seed(self.seed, index, purpose=f"draw {draw}"))
        return self._architecture(document["misc"]["vals"])

    def _trials(self, history: Sequence[Observation], command: object) -> Trials:
        trials = Trials()
        for number, observation in enumerate(history):
            state, status = _STATES[observation.loss is not None]
            result = {"status": status} | ({} if observation.loss is None else {"loss": observation.loss})
            choices = self._choices(number, observation) | {"cmd": command}
            (document,) = trials.new_trial_docs([number], [None], [result], [choices])
            trials.insert_trial_doc(document | {"state": state})
        trials.refresh()
        return trials

    def _choices(self, number: int, observation: Observation) -> Document:
        """What was chosen, in hyperopt's form: per label a list of one, or of none where the gene is inactive."""
        architecture = observation.architecture
        rows = zip(self.space.genes(), self.space.to_genes(architecture), self.space.active(architecture), strict=True)
        values = {gene.name: [float(at)] if acts else [] for gene, at, acts in rows if gene.name in self._labels}
        ids = {name: [number] * len(value) for name, value in values.items()}
        return {"tid": number, "workdir": None, "idxs": ids, "vals": values}

    def _architecture(self, values: dict[str, list[float]]) -> Architecture:
        indices = [
            min(max(round(values[gene.name][0]), 0), len(gene.values) - 1) if gene.name in self._labels else 0
            for gene in self.space.genes()
        ]
        return self.space.from_genes(indices)


def _ask_randomly(new_id: int, domain: Domain, trials: Trials, seed: int) -> list[Document]:
    documents: list[Document] = rand.suggest([new_id], domain, trials, seed)
    return documents


def _never_evaluated(_: object) -> NoReturn:
    raise AssertionError("trials are run elsewhere")
