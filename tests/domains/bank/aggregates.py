"""The bank's aggregates: accounts that can be told to misbehave, and vaults that share their domain."""

import os
from collections import Counter
from typing import ClassVar

from comby.server import Aggregate, Rejected, applies, handles
from tests.domains.bank.v1.bank_pb2 import (
    Account,
    AccountClosed,
    AccountOpened,
    CloseAccount,
    Deposit,
    Deposited,
    LockVault,
    Misbehave,
    Note,
    Noted,
    OpenAccount,
    OpenVault,
    Vault,
    VaultLocked,
    VaultOpened,
    Withdraw,
    Withdrawn,
)
from tests.domains.bank.v1.bank_types import BankReason

SECRET_TEXT = "what-a-handler-said-to-itself"
"""In the text of every exception here; it must never reach a caller."""


class AccountAggregate(Aggregate[Account]):
    """An account; it counts the deposits that come out of order."""

    starts: ClassVar[Counter[str]] = Counter()
    """How often Misbehave was begun, by account. A real handler has no such effect."""

    @handles(OpenAccount)
    def open(self, command: OpenAccount) -> None:
        self.record(
            AccountOpened(owner=command.owner, tier=command.tier, limit=command.limit, labels=dict(command.labels))
        )

    @handles(Deposit)
    def deposit(self, command: Deposit) -> None:
        self.pay_in(command.amount, command.seq)

    @handles(Withdraw)
    def withdraw(self, command: Withdraw) -> None:
        self.take_out(command.amount)

    @handles(CloseAccount)
    def close(self, command: CloseAccount) -> None:
        self.record(AccountClosed())

    @handles(Misbehave)
    def misbehave(self, command: Misbehave) -> None:
        self.starts[self.id] += 1
        match command.how:
            case "loop":
                while True:
                    pass
            case "exit":
                os._exit(9)
            case "many":
                for _ in range(command.count):
                    self.record(Noted(text="one of many"))
            case "large":
                self.record(Noted(text="x" * command.count))
            case "twice" if self.starts[self.id] > 2:
                self.record(Noted(text="in the end"))
            case "spoil":
                self.state.owner = "spoiled"
                raise RuntimeError(SECRET_TEXT)
            case _:
                raise RuntimeError(SECRET_TEXT)

    def pay_in(self, amount: int, seq: int = 0) -> None:
        """Record a deposit."""
        self.record(Deposited(amount=amount, seq=seq))

    def take_out(self, amount: int) -> None:
        """Record a withdrawal, where there is enough."""
        if amount > self.state.balance:
            raise Rejected(BankReason.INSUFFICIENT_FUNDS, balance=self.state.balance)
        self.record(Withdrawn(amount=amount))

    @applies(AccountOpened)
    def opened(self, event: AccountOpened) -> None:
        self.state.account_id = self.id
        self.state.owner = event.owner
        self.state.tier = event.tier
        self.state.limit = event.limit
        self.state.pin = "1234"
        self.state.labels.update(event.labels)

    @applies(Deposited)
    def deposited(self, event: Deposited) -> None:
        self.state.balance += event.amount
        if event.seq:
            self.state.disorder += event.seq != self.state.last_seq + 1
            self.state.last_seq = event.seq

    @applies(Withdrawn)
    def withdrawn(self, event: Withdrawn) -> None:
        self.state.balance -= event.amount

    @applies(Noted)
    def noted(self, event: Noted) -> None:
        self.state.notes.append(Note(text=event.text[:10], staff="for the staff"))

    @applies(AccountClosed)
    def closed(self, event: AccountClosed) -> None:
        self.state.closed = True


class VaultAggregate(Aggregate[Vault]):
    """A vault."""

    @handles(OpenVault)
    def open(self, command: OpenVault) -> None:
        self.record(VaultOpened())

    @handles(LockVault)
    def lock(self, command: LockVault) -> None:
        self.record(VaultLocked())

    @applies(VaultOpened)
    def opened(self, event: VaultOpened) -> None:
        self.state.vault_id = self.id

    @applies(VaultLocked)
    def locked(self, event: VaultLocked) -> None:
        self.state.locked = True
