"""The bank: what it consists of."""

from collections.abc import Callable

from comby.server import Facade, StateQueries
from comby.server.application.registry import Registrable
from tests.domains.bank.aggregates import AccountAggregate, VaultAggregate
from tests.domains.bank.handlers import Asking, Moves, TotalQueries, Totals
from tests.domains.bank.v1.bank_pb2 import GetAccount, ListAccounts, WatchAccount
from tests.domains.controls import Controls


def bank(
    controls: Controls, *more: Registrable, totals: Totals | None = None, moves: Moves | None = None
) -> Callable[[Facade], None]:
    """Return the bank as an app, with further handlers, or others in place of its own."""

    def app(facade: Facade) -> None:
        facade.register(
            AccountAggregate,
            VaultAggregate,
            moves or Moves(controls),
            totals or Totals(controls),
            TotalQueries,
            Asking(controls),
            StateQueries(AccountAggregate, get=GetAccount, list=ListAccounts, watch=WatchAccount),
            *more,
        )

    return app
