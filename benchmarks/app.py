"""The measured domain: a counter. One aggregate, two commands, two events, no projection and no reactor."""

from bench.counter.v1.counter_pb2 import AddToCounter, Counter, CounterRaised, CounterStarted, StartCounter
from comby.server import Aggregate, Facade, applies, handles


class CounterAggregate(Aggregate[Counter]):
    """A number that rises."""

    @handles(StartCounter)
    def start(self, command: StartCounter) -> None:
        self.record(CounterStarted(name=command.name))

    @handles(AddToCounter)
    def add(self, command: AddToCounter) -> None:
        self.record(CounterRaised(amount=command.amount))

    @applies(CounterStarted)
    def started(self, event: CounterStarted) -> None:
        self.state.counter_id = self.id
        self.state.name = event.name

    @applies(CounterRaised)
    def raised(self, event: CounterRaised) -> None:
        self.state.total += event.amount


def app(facade: Facade) -> None:
    """Register the counter."""
    facade.register(CounterAggregate)
