#!/usr/bin/env bash
# Puts comby's protos and the shop's into protos/, where the client loads them. Needs comby on the PATH (or in $COMBY).
set -euo pipefail
cd "$(dirname "$0")"

rm -rf protos
"${COMBY:-comby}" protos protos
cp -R ../../shop/protos/. protos/
