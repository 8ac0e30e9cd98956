"""Annealing: draws around one of the best trials, ever closer (hyperopt's `anneal`)."""

from hyperopt import Domain, Trials, anneal

from pfpnas_workloads.tuning._hyperopt import Document, HyperoptTuner


class Anneal(HyperoptTuner):
    """Starts from one of the best trials and draws each gene from a neighbourhood that shrinks with their number."""

    def ask(self, new_id: int, domain: Domain, trials: Trials, seed: int) -> list[Document]:  # noqa: D102
        documents: list[Document] = anneal.suggest([new_id], domain, trials, seed)
        return documents
