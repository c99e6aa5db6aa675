#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Prints the version of what is built here: that of the file VERSION if this commit has its tag (v0.1.0) and nothing is
# changed, else what comes before it, named by its commit (0.1.0-dev.1a2b3c4).
set -eu
cd "$(dirname "$0")/.."
version=$(cat VERSION)
commit=$(git describe --always --dirty --exclude '*' 2>/dev/null || echo unknown)
tag=$(git tag --points-at HEAD 2>/dev/null | grep -Fx "v$version" || true)
case $tag,$commit in
,* | *-dirty) echo "$version-dev.$commit" ;;
*) echo "$version" ;;
esac
