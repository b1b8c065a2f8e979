#!/usr/bin/env bash
# Generates gen/ from comby's protos and the shop's. Needs comby and buf on the PATH (or in $COMBY and $BUF), and go.
set -euo pipefail
cd "$(dirname "$0")"

rm -rf build/protos
"${COMBY:-comby}" protos build/protos
cp -R ../../shop/protos/. build/protos/
"${BUF:-buf}" generate
