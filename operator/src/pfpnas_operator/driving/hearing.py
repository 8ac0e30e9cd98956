"""How far Jobs are, by their own words: kept between looks, so that silence can be told from news."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from pfpnas_api.bus import OperatorBus
from pfpnas_api.messages import Progress
from pfpnas_operator.driving.protocols import Jobs
from pfpnas_operator.reconcile import JobView


@dataclass(kw_only=True)
class _Heard:
    progress: Progress | None
    at: datetime
    """When it was new; when the Job was first seen, before it said anything."""


@dataclass(kw_only=True)
class Hearing:
    """What each Job last said, and when that was new."""

    _heard: dict[str, _Heard] = field(default_factory=dict)

    def listen(self, jobs: Jobs, bus: OperatorBus, now: datetime) -> dict[str, JobView]:
        """Every Job as it stands, with what it said of its progress."""
        views, uids = jobs.views(now), jobs.uids()
        said = bus.progresses(uids.values())
        self.note({name: said.get(uid) for name, uid in uids.items()}, now=now)
        return self.told(views)

    def note(self, said: Mapping[str, Progress | None], *, now: datetime) -> None:
        """Keep what Jobs say now, by name; those that aren't named any more are forgotten."""
        self._heard = {name: self._newer(name, progress, now) for name, progress in said.items()}

    def _newer(self, name: str, progress: Progress | None, now: datetime) -> _Heard:
        known = self._heard.get(name)
        if known is not None and (progress is None or progress == known.progress):
            return known
        return _Heard(progress=progress, at=now)

    def told(self, views: Mapping[str, JobView]) -> dict[str, JobView]:
        """The Jobs with what they said."""
        return {name: self._told(name, view) for name, view in views.items()}

    def _told(self, name: str, view: JobView) -> JobView:
        heard = self._heard.get(name)
        if heard is None:
            return view
        return replace(view, progress=heard.progress, progressed_at=max(view.progressed_at, heard.at))

    def reanchor(self, now: datetime) -> None:
        """After an outage: nobody could be heard, so every silence begins anew."""
        for heard in self._heard.values():
            heard.at = now
