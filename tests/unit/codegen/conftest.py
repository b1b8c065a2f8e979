"""Contracts for the generator's tests: a right one, and how to compile text."""

from collections.abc import Callable
from pathlib import Path

import pytest
from google.protobuf.compiler.plugin_pb2 import CodeGeneratorResponse

from comby.codegen import plugin, protoc

RIGHT = """\
syntax = "proto3";
package bank.account.v1;
import "comby/facade/v1/command.proto";
import "comby/options/v1/options.proto";
option (comby.options.v1.domain) = {name: "Account"};

service AccountService {
  rpc OpenAccount(bank.account.v1.OpenAccount) returns (comby.facade.v1.CommandReceipt);
  rpc GetAccount(bank.account.v1.GetAccount) returns (Account);
}
message Account {
  option (comby.options.v1.aggregate) = {indexed: ["owner"]};
  string owner = 1;
  repeated string tags = 2;
}
message OpenAccount {
  option (comby.options.v1.command) = {creates: true};
  string account_id = 1 [(comby.options.v1.aggregate_id) = true];
  string owner = 2;
}
message AccountOpened {
  option (comby.options.v1.event) = {};
  string owner = 1;
}
message GetAccount {
  option (comby.options.v1.query) = {};
  string account_id = 1;
}
"""


@pytest.fixture
def right() -> str:
    """A right contract, which tests make wrong."""
    return RIGHT


@pytest.fixture
def respond(tmp_path: Path) -> Callable[[dict[str, str]], CodeGeneratorResponse]:
    """Compile files, given by name, and ask the plugin for all of them."""

    def respond(files: dict[str, str]) -> CodeGeneratorResponse:
        root, work = tmp_path / "protos", tmp_path / "work"
        for name, text in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        work.mkdir()
        image = protoc.compiled([root], sorted(files), work)
        return plugin.respond(protoc.request(image, sorted(files)))

    return respond
