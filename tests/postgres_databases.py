"""Databases for tests: one server a process, and few databases, which are emptied for whoever comes next."""

import atexit
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from uuid import uuid4

from comby.server.stores.postgres import open_postgres
from tests.postgres_server import PostgresServer, run

KEPT = 6
"""Databases at most. No test has so many stores, so the one that was asked for longest ago is nobody's."""
_TEMPLATE = "comby_template"


class Databases:
    """Gives each directory a database, empty at first; the same directory has the same one."""

    def __init__(self, server: PostgresServer) -> None:
        self.server = server
        self._given: OrderedDict[Path, str] = OrderedDict()
        run(_migrate(server.create(_TEMPLATE)))

    def url(self, directory: Path) -> str:
        """Return the URL of a directory's database."""
        name = self._given.pop(directory, None)
        if name is None:
            name = self._empty()
        self._given[directory] = name
        return self.server.url(name)

    @contextmanager
    def unused(self) -> Iterator[str]:
        """Give a database that nobody has used, so that nothing was analyzed in it; it is dropped at the end."""
        name = f"comby_{uuid4().hex}"
        yield self.server.create(name, template=_TEMPLATE)
        self.server.execute(f"drop database {name} with (force)")

    def _empty(self) -> str:
        if len(self._given) < KEPT:
            name = f"comby_{len(self._given)}"
            self.server.create(name, template=_TEMPLATE)
            return name
        _, name = self._given.popitem(last=False)
        self.server.execute(EMPTY, database=name)
        return name


EMPTY = """
do $$
declare
  tables text;
begin
  perform pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid();
  select string_agg(format('comby.%I', tablename), ', ') into tables
  from pg_tables where schemaname = 'comby' and tablename <> 'schema_version';
  execute 'truncate ' || tables;
  alter sequence comby.accept_seq restart;
end
$$
"""


async def _migrate(url: str) -> None:
    async with open_postgres(url):
        pass


@cache
def databases() -> Databases:
    """Return the databases of this process; its server is stopped when the process ends."""
    server = PostgresServer()
    atexit.register(server.close)
    return Databases(server)
