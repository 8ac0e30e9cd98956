"""Tree-structured Parzen estimators (Bergstra et al., "Algorithms for Hyper-Parameter Optimization", NIPS 2011, §4)."""

from hyperopt import Domain, Trials, tpe

from pfpnas_workloads.tuning._hyperopt import Document, HyperoptTuner


class TPE(HyperoptTuner):
    """Draws where good trials are dense and bad ones are not; trials under way count as bad."""

    def ask(self, new_id: int, domain: Domain, trials: Trials, seed: int) -> list[Document]:  # noqa: D102
        documents: list[Document] = tpe.suggest([new_id], domain, trials, seed, n_startup_jobs=0, verbose=False)
        return documents
